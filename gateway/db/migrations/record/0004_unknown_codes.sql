-- Codes that no table knew, by the entry they came in: written with what that entry became, read for a person, and used
-- to translate the entry again once the code is mapped.
CREATE TABLE unknown_code (
    entry      INTEGER NOT NULL,           -- of the journal
    code_table TEXT NOT NULL,              -- name of a code table of the maps, or a local coding system
    code       TEXT NOT NULL,              -- as the sender wrote it
    member     TEXT NOT NULL,
    words      TEXT NOT NULL,              -- the sender's name for it, '' when it may be something else
    times      INTEGER NOT NULL,           -- in this entry
    at         INTEGER NOT NULL,           -- milliseconds since 1970
    again      INTEGER NOT NULL DEFAULT 0, -- 1: known now, the entry waits to be translated again
    PRIMARY KEY (entry, code_table, code)
) WITHOUT ROWID;
CREATE INDEX unknown_code_of ON unknown_code (member, code_table, code, entry);
