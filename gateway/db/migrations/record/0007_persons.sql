-- Which Patient lives on as which, and what is needed to take them apart again exactly as they were.
CREATE TABLE person_merge (
    retired  TEXT NOT NULL PRIMARY KEY,    -- id of the Patient
    survivor TEXT NOT NULL,                -- id of the Patient it was merged into
    active   TEXT NOT NULL,                -- what the retired one said of itself before: true, false, '' for nothing
    given    TEXT NOT NULL,                -- JSON: numbers that came under the retired number, kept with the survivor
    at       INTEGER NOT NULL              -- milliseconds since 1970
) WITHOUT ROWID;
CREATE INDEX person_merge_into ON person_merge (survivor);

-- A resource that refers to a survivor and came under the number of a retired Patient: there it goes when they part.
CREATE TABLE belonging (
    rid     INTEGER PRIMARY KEY,
    patient TEXT NOT NULL                  -- id of the retired Patient
);
CREATE INDEX belonging_patient ON belonging (patient);
