-- FHIR messages that were handed in, by the id of the message: one that is sent again is answered, not taken again.
CREATE TABLE processed_message (
    channel TEXT NOT NULL,
    message TEXT NOT NULL,                 -- MessageHeader.id, or what names the message where it has none
    digest  BLOB NOT NULL,                 -- SHA-256 of its content without the envelope
    control TEXT NOT NULL,                 -- entry.control_id of the journal
    body    BLOB NOT NULL,                 -- SHA-256 of the bytes as they came first: entry.digest
    at      INTEGER NOT NULL,              -- milliseconds since 1970
    PRIMARY KEY (channel, message, digest)
);
CREATE INDEX processed_message_at ON processed_message (at);
