-- What came in, byte for byte, in the order of being written down. Rows are added, never changed.
CREATE TABLE entry (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, also after retention removed the newest
    received   INTEGER NOT NULL,                   -- milliseconds since 1970
    channel    TEXT NOT NULL,
    member     TEXT NOT NULL,
    peer       TEXT NOT NULL,
    format     TEXT NOT NULL,
    charset    TEXT NOT NULL,
    control_id TEXT NOT NULL,                      -- MSH-10 or the like; '' when the format has none
    kind       TEXT NOT NULL,                      -- 'ORU^R01'
    key        TEXT NOT NULL,                      -- order key of the patient; '' when there is none
    digest     BLOB NOT NULL,                      -- SHA-256 of body
    accepted   INTEGER NOT NULL,                   -- 1: work for the gateway; 0: refused, kept with its cause
    cause      TEXT NOT NULL,                      -- why it was refused
    place      TEXT NOT NULL,                      -- where in the message, or in the settings
    flags      TEXT NOT NULL,                      -- 'reused': the control id was taken before with other bytes; 'replay'
    source     INTEGER,                            -- the refused entry that a person set going again as this one
    size       INTEGER NOT NULL,                   -- bytes of body
    body       BLOB NOT NULL                       -- last: the columns before it are read without its pages
);

-- Was this message here before?
CREATE INDEX entry_control ON entry (control_id, channel, member, accepted, digest) WHERE control_id <> '';

-- What was refused, newest first.
CREATE INDEX entry_refused ON entry (channel, id) WHERE accepted = 0;

-- Which refused entry was set going again?
CREATE INDEX entry_source ON entry (source) WHERE source IS NOT NULL;

-- Totals, so that no page counts millions of rows.
CREATE TABLE entry_count (
    channel  TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    total    INTEGER NOT NULL,
    PRIMARY KEY (channel, accepted)
) WITHOUT ROWID;
