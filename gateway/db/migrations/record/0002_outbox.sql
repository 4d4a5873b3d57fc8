-- Where our work on an entry of the journal stands, and what we owe to whom.

-- One row for every entry that was touched. An accepted entry without a row waits.
CREATE TABLE work (
    entry       INTEGER PRIMARY KEY,               -- entry.id of the journal
    state       TEXT NOT NULL,                     -- waiting (to be tried again, or behind one that is) done parked dead
    channel     TEXT NOT NULL,
    key         TEXT NOT NULL,                     -- order key: an entry waits while an earlier one of its key does
    attempts    INTEGER NOT NULL,                  -- that failed
    due         INTEGER NOT NULL,                  -- waiting: not before; milliseconds since 1970
    changed     INTEGER NOT NULL,                  -- milliseconds since 1970
    committed   INTEGER,                           -- done: record_transaction.number
    error       TEXT NOT NULL,                     -- its class
    cause       TEXT NOT NULL,
    place       TEXT NOT NULL,
    remedy      TEXT NOT NULL
);
CREATE INDEX work_waiting ON work (key, entry, due) WHERE state = 'waiting';
CREATE INDEX work_due ON work (due, entry) WHERE state = 'waiting';
CREATE INDEX work_open ON work (state, entry) WHERE state <> 'done';

-- Every accepted entry up to this one has a row in work.
CREATE TABLE work_mark (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    through INTEGER NOT NULL
);
INSERT INTO work_mark (one, through) VALUES (1, 0);

-- What we owe one subscription for one change.
CREATE TABLE delivery (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT NOT NULL,
    key          TEXT NOT NULL,                    -- order key; '' = no order
    state        TEXT NOT NULL,                    -- waiting done parked dead
    due          INTEGER NOT NULL,                 -- waiting: not before; milliseconds since 1970
    attempts     INTEGER NOT NULL,                 -- that failed, for any cause
    refusals     INTEGER NOT NULL,                 -- of them: the receiver said no
    nonce        TEXT NOT NULL,                    -- with the id it makes the idempotency key
    type         TEXT NOT NULL,                    -- the change: resource type, id, version, record_transaction.number
    resource     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    committed    INTEGER NOT NULL,
    interaction  TEXT NOT NULL,                    -- create update delete
    owed         INTEGER NOT NULL,                 -- since; milliseconds since 1970
    changed      INTEGER NOT NULL,                 -- milliseconds since 1970
    error        TEXT NOT NULL,                    -- class of the last error
    cause        TEXT NOT NULL,
    place        TEXT NOT NULL,
    remedy       TEXT NOT NULL,
    code         TEXT NOT NULL,                    -- done: what the receiver answered (AA, 201, written)
    answer       BLOB                              -- done: its bytes
);
CREATE INDEX delivery_line ON delivery (subscription, id, due) WHERE state = 'waiting';
CREATE INDEX delivery_key ON delivery (subscription, key, id) WHERE state = 'waiting';
CREATE INDEX delivery_due ON delivery (subscription, due, id) WHERE state = 'waiting';
CREATE INDEX delivery_open ON delivery (state, subscription, id) WHERE state <> 'done';
CREATE INDEX delivery_resource ON delivery (type, resource);

-- Totals, so that no page counts millions of rows.
CREATE TABLE delivery_count (
    subscription TEXT PRIMARY KEY,
    sent         INTEGER NOT NULL
) WITHOUT ROWID;
