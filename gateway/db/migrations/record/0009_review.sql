-- Pairs of Patients that may be one person: a person decides. What was decided is never asked again.
CREATE TABLE person_review (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    one     TEXT NOT NULL,                 -- ids of Patients, the lesser first
    other   TEXT NOT NULL,
    score   INTEGER NOT NULL,              -- logarithm of the odds (base 2), in thousandths
    reasons TEXT NOT NULL,                 -- words with a space between; never a name, a number or a date
    entry   INTEGER,                       -- of the journal, after which it was asked; NULL: the web door
    asked   INTEGER NOT NULL,              -- milliseconds since 1970
    state   TEXT NOT NULL,                 -- open same apart
    decided INTEGER,                       -- milliseconds since 1970
    by_whom TEXT NOT NULL,
    why     TEXT NOT NULL
);
CREATE UNIQUE INDEX person_review_pair ON person_review (one, other);
CREATE INDEX person_review_open ON person_review (score, number) WHERE state = 'open';
CREATE INDEX person_review_other ON person_review (other);

-- Everything that made two people one or one person two: who, when and why. Nothing is ever taken out of it.
CREATE TABLE person_log (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,              -- milliseconds since 1970
    deed    TEXT NOT NULL,                 -- merge unmerge apart
    one     TEXT NOT NULL,                 -- id of the Patient that was retired or lives again
    other   TEXT NOT NULL,                 -- id of the survivor
    by_whom TEXT NOT NULL,                 -- a person, or the rule
    why     TEXT NOT NULL,
    entry   INTEGER
);
CREATE INDEX person_log_one ON person_log (one);
CREATE INDEX person_log_other ON person_log (other);
