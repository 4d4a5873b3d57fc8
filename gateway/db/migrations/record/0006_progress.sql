-- How far a large file has been worked off: written with what its rows became, gone when the last of them is there.
CREATE TABLE progress (
    entry    INTEGER PRIMARY KEY,  -- of the journal
    way      TEXT NOT NULL,        -- how its rows are cut into batches; a file that is cut otherwise begins anew
    batches  INTEGER NOT NULL,     -- that are in the record
    rows     INTEGER NOT NULL,     -- in them
    counted  TEXT NOT NULL,        -- JSON: by type how many resources without a number of their own
    aside    INTEGER NOT NULL,     -- rows that were set aside
    cells    INTEGER NOT NULL,     -- cells that were left out
    places   TEXT NOT NULL,        -- JSON: where the first of them stand
    causes   TEXT NOT NULL,        -- JSON: why, each cause once
    committed INTEGER              -- the last record transaction
);
