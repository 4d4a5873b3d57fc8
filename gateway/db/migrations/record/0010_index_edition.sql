-- By which edition of indexing the rows of the index tables were made; another one makes them anew (store/reindexing.py).
CREATE TABLE index_edition (edition INTEGER NOT NULL);
INSERT INTO index_edition (edition) VALUES (1);

-- The first halves of composite parameters that there are: the second half of code$value is indexed under `number`, which
-- stands for the parameter and the code in one system. Who names no system means all numbers of the code.
CREATE TABLE index_half (
    parameter INTEGER NOT NULL,
    value     TEXT NOT NULL,               -- the code
    number    INTEGER NOT NULL,
    PRIMARY KEY (parameter, value, number)
) WITHOUT ROWID;
