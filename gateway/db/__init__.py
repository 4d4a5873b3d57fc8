"""Where rows live: one short protocol, the engines beside it, commits that waiting writers share.
sqlite3 is spoken in this room only."""
