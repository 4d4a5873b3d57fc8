-- How far the views of members' databases were taken. Written in the transaction of the entries that they became.
CREATE TABLE polled_view (
    id       INTEGER PRIMARY KEY,
    channel  TEXT NOT NULL,
    view     TEXT NOT NULL,                        -- '' = the database itself: what keeps all of its views waiting
    position TEXT NOT NULL,                        -- its watermark with its type; '' = nothing was taken
    columns  TEXT NOT NULL,                        -- that it was known to have, in small letters, one a line
    sequence INTEGER NOT NULL,                     -- entries made of it
    looked   INTEGER NOT NULL,                     -- when all of it was last looked through; milliseconds since 1970
    since    INTEGER NOT NULL,                     -- of the problem; 0 = there is none
    error    TEXT NOT NULL,                        -- class of the problem
    cause    TEXT NOT NULL,
    place    TEXT NOT NULL,
    remedy   TEXT NOT NULL,
    UNIQUE (channel, view)
);

-- What each record was when it was taken: the same is not taken again.
CREATE TABLE polled_record (
    view   INTEGER NOT NULL,                       -- polled_view.id
    number BLOB NOT NULL,                          -- digest of what names it
    digest BLOB NOT NULL,                          -- digest of its rows
    PRIMARY KEY (view, number)
) WITHOUT ROWID;

-- Records whose order or visit is not there yet.
CREATE TABLE polled_orphan (
    view   INTEGER NOT NULL,                       -- polled_view.id
    number TEXT NOT NULL,                          -- its number as JSON
    since  INTEGER NOT NULL,                       -- milliseconds since 1970
    PRIMARY KEY (view, number)
) WITHOUT ROWID;
