-- Bulk exports (FHIR Bulk Data Access): what was asked for, how far it is written, which files there are. One page is one
-- transaction: a restart goes on behind it.
CREATE TABLE bulk_export (
    id        TEXT PRIMARY KEY,            -- random: the address of its status
    token     TEXT NOT NULL,               -- name of the token that asked
    address   TEXT NOT NULL,               -- the request, as the manifest repeats it
    asked     BLOB NOT NULL,               -- JSON: level, types, since, filters, elements, patients
    cut       INTEGER NOT NULL,            -- record_transaction.number: everything up to it and nothing later
    at        INTEGER NOT NULL,            -- its instant: transactionTime; milliseconds since 1970
    state     TEXT NOT NULL,               -- running done failed
    started   INTEGER NOT NULL,            -- milliseconds since 1970
    changed   INTEGER NOT NULL,            -- of the last page; milliseconds since 1970
    expires   INTEGER NOT NULL,            -- done, failed: files and row are deleted then; milliseconds since 1970
    stage     INTEGER NOT NULL,            -- place in the list of types; behind its end: what the others refer to
    after     TEXT NOT NULL,               -- id of the last resource of that type that was looked at
    written   INTEGER NOT NULL,            -- resources in its files
    cause     TEXT NOT NULL                -- failed: why
);
CREATE INDEX bulk_export_running ON bulk_export (state, started);

CREATE TABLE bulk_file (
    export    TEXT NOT NULL,               -- bulk_export.id
    number    INTEGER NOT NULL,
    kind      TEXT NOT NULL,               -- output deleted
    type      TEXT NOT NULL,
    resources INTEGER NOT NULL,            -- lines of it
    bytes     INTEGER NOT NULL,            -- that count: what stands behind them was never committed
    PRIMARY KEY (export, number)
);

-- What resources of patients refer to outside of what belongs to patients: practitioners, organizations, medications.
CREATE TABLE bulk_mention (
    export    TEXT NOT NULL,               -- bulk_export.id
    type      TEXT NOT NULL,
    id        TEXT NOT NULL,
    written   INTEGER NOT NULL,            -- 1: looked at
    PRIMARY KEY (export, type, id)
);
CREATE INDEX bulk_mention_open ON bulk_mention (export, written, type);
