-- What local segments (Z…) of messages said, and what those messages became: the fields that no map knows are found too.
CREATE TABLE local_field (
    value TEXT NOT NULL,                   -- folded: NFKC, no accents, no case
    name  TEXT NOT NULL,                   -- 'ZLB-1' for a whole repetition, 'ZLB-1.2' for a component of it
    entry INTEGER NOT NULL,                -- of the journal
    PRIMARY KEY (value, name, entry)
) WITHOUT ROWID;
CREATE INDEX local_field_entry ON local_field (entry);

CREATE TABLE local_resource (
    entry INTEGER NOT NULL,
    rid   INTEGER NOT NULL,
    PRIMARY KEY (entry, rid)
) WITHOUT ROWID;
