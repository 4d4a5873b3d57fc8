"""Where rows live: one short protocol, the engines beside it. sqlite3 is spoken in this room only."""
