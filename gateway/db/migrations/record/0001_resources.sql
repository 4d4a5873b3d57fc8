-- The shared record: one row per resource with the columns every search wants, narrow tables for all other parameters.

-- Every change belongs to one transaction; numbers and times grow with commit order.
CREATE TABLE record_transaction (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,               -- milliseconds since 1970, strictly growing
    entry  INTEGER                         -- journal entry that caused it; NULL: a person or a program by the web door
);

-- The current version of every resource. rid is the number that the index tables use.
CREATE TABLE resource (
    rid       INTEGER PRIMARY KEY,
    type      TEXT NOT NULL,
    id        TEXT NOT NULL,
    version   INTEGER NOT NULL,
    committed INTEGER NOT NULL,            -- record_transaction.number that wrote this version
    updated   INTEGER NOT NULL,            -- meta.lastUpdated, milliseconds since 1970
    deleted   INTEGER NOT NULL,            -- 1: the last version says "deleted"; body is NULL
    open      INTEGER NOT NULL,            -- 1: the status is one that somebody still works on
    patient   TEXT,                        -- id of the patient, for types that have exactly one
    status    TEXT,
    survivor  TEXT,                        -- a retired Patient: id of the Patient that replaced it
    date      INTEGER NOT NULL,            -- first instant of the type's main date parameter, microseconds since 1970;
                                           -- before all times where it has none
    until     INTEGER NOT NULL,            -- last instant of it, included
    body      BLOB                         -- compact JSON
);
CREATE UNIQUE INDEX resource_id ON resource (type, id);
CREATE INDEX resource_patient ON resource (patient, type, date) WHERE patient IS NOT NULL;
CREATE INDEX resource_date ON resource (type, date);
CREATE INDEX resource_updated ON resource (type, updated);
CREATE INDEX resource_open ON resource (type, status, date) WHERE open = 1;

-- Versions that are no longer current.
CREATE TABLE history (
    rid       INTEGER NOT NULL REFERENCES resource (rid),
    version   INTEGER NOT NULL,
    type      TEXT NOT NULL,
    committed INTEGER NOT NULL,
    updated   INTEGER NOT NULL,
    deleted   INTEGER NOT NULL,
    body      BLOB
);
CREATE UNIQUE INDEX history_version ON history (rid, version);
CREATE INDEX history_updated ON history (type, updated);

-- parameter = number of "Type.name" (see db/record.py); it implies the type. system = number of the system's URL.
CREATE TABLE index_token (
    parameter INTEGER NOT NULL,
    value     TEXT NOT NULL,
    rid       INTEGER NOT NULL,
    system    INTEGER NOT NULL,
    PRIMARY KEY (parameter, value, rid, system)
) WITHOUT ROWID;

-- Tokens of the parameter `code`, in order of the resource's main date: the newest of a kind is found without sorting.
CREATE TABLE index_code (
    parameter INTEGER NOT NULL,
    value     TEXT NOT NULL,
    date      INTEGER NOT NULL,
    rid       INTEGER NOT NULL,
    system    INTEGER NOT NULL,
    PRIMARY KEY (parameter, value, date, rid, system)
) WITHOUT ROWID;

CREATE TABLE index_reference (
    parameter INTEGER NOT NULL,
    target    TEXT NOT NULL,               -- 'Type/id', or a whole URL
    rid       INTEGER NOT NULL,
    PRIMARY KEY (parameter, target, rid)
) WITHOUT ROWID;

CREATE TABLE index_string (
    parameter INTEGER NOT NULL,
    value     TEXT NOT NULL,               -- folded: NFKC, no accents, no case
    rid       INTEGER NOT NULL,
    exact     TEXT NOT NULL,               -- as written; '' where it equals the folded form
    PRIMARY KEY (parameter, value, rid, exact)
) WITHOUT ROWID;

CREATE TABLE index_date (
    parameter INTEGER NOT NULL,
    low       INTEGER NOT NULL,            -- microseconds since 1970, included
    rid       INTEGER NOT NULL,
    high      INTEGER NOT NULL,            -- microseconds since 1970, included
    PRIMARY KEY (parameter, low, rid, high)
) WITHOUT ROWID;

CREATE TABLE index_number (
    parameter INTEGER NOT NULL,
    low       REAL NOT NULL,
    rid       INTEGER NOT NULL,
    high      REAL NOT NULL,
    PRIMARY KEY (parameter, low, rid, high)
) WITHOUT ROWID;

CREATE TABLE index_quantity (
    parameter INTEGER NOT NULL,
    low       REAL NOT NULL,
    rid       INTEGER NOT NULL,
    high      REAL NOT NULL,
    system    INTEGER NOT NULL,
    code      TEXT NOT NULL,               -- the UCUM code, else the unit as written
    PRIMARY KEY (parameter, low, rid, high, system, code)
) WITHOUT ROWID;

CREATE TABLE index_uri (
    parameter INTEGER NOT NULL,
    value     TEXT NOT NULL,
    rid       INTEGER NOT NULL,
    PRIMARY KEY (parameter, value, rid)
) WITHOUT ROWID;
