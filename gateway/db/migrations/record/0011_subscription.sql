-- Subscriptions of FHIR clients, beside their resources: what matching and sending need, and nobody reads over the web.
CREATE TABLE subscription (
    id      TEXT PRIMARY KEY,              -- of the Subscription; deliveries are owed to 'Subscription/id'
    state   TEXT NOT NULL,                 -- requested (a handshake is awaited) active error off
    maker   BLOB NOT NULL,                 -- SHA-256 of the token that wrote it last: it is told what that may read
    base    TEXT NOT NULL,                 -- address of this service, as its maker wrote it
    headers TEXT NOT NULL,                 -- JSON: [[name, value], …], secret
    events  INTEGER NOT NULL,              -- number of the last event
    spoke   INTEGER NOT NULL,              -- the endpoint last took something; milliseconds since 1970, 0: never
    failing INTEGER NOT NULL,              -- it has taken nothing since; milliseconds since 1970, 0: nothing is wrong
    changed INTEGER NOT NULL,              -- the state, last; milliseconds since 1970
    edition INTEGER NOT NULL               -- grows with every change of what is asked for, and of the state
) WITHOUT ROWID;

-- Another number after every change of the table above that matters to others.
CREATE TABLE subscription_edition (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    nonce INTEGER NOT NULL
);
INSERT INTO subscription_edition (one, nonce) VALUES (1, 0);

-- The events of topics, numbered from 1 for each Subscription without gaps.
CREATE TABLE subscription_event (
    subscription TEXT NOT NULL,            -- its id
    number       INTEGER NOT NULL,
    delivery     INTEGER NOT NULL,         -- delivery.id: the change, and whether it was sent
    at           INTEGER NOT NULL,         -- milliseconds since 1970
    PRIMARY KEY (subscription, number)
) WITHOUT ROWID;
CREATE INDEX subscription_event_delivery ON subscription_event (delivery);
