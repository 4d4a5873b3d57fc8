-- Who may come in by the web door. The token itself is never stored, only its SHA-256.
CREATE TABLE token (
    digest     BLOB NOT NULL PRIMARY KEY,  -- SHA-256 of the token, 32 bytes
    name       TEXT NOT NULL,              -- for people
    scope      TEXT NOT NULL,              -- 'system/*.*', several with a space between
    created_at TEXT NOT NULL,              -- ISO 8601, UTC
    revoked_at TEXT                        -- NULL: valid
) WITHOUT ROWID;

-- A name means one valid token; revoked ones are kept, so that the list tells who once had access.
CREATE UNIQUE INDEX token_valid_name ON token (name) WHERE revoked_at IS NULL;
