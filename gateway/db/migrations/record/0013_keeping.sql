-- What must not be deleted though its time is over. Rows are never removed: they tell who held what, why, and until when.
CREATE TABLE legal_hold (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,             -- patient entry
    target      TEXT NOT NULL,             -- id of the Patient, or of the journal's entry
    reason      TEXT NOT NULL,
    held_by     TEXT NOT NULL,
    held_at     INTEGER NOT NULL,          -- milliseconds since 1970
    released_by TEXT NOT NULL,             -- '' = it holds
    released_at INTEGER NOT NULL           -- milliseconds since 1970; 0 = it holds
);

-- What was deleted because its time was over.
CREATE TABLE retention_run (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,           -- milliseconds since 1970
    run_by     TEXT NOT NULL,
    settings   TEXT NOT NULL,              -- the days, as JSON
    entries    INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    versions   INTEGER NOT NULL,
    files      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL            -- given back to the disk
);
