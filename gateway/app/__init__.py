"""Composition root: builds the rooms, starts and stops them. The only room that knows all others.

    rooms       what both halves need: settings, maps, databases
    front       takes messages and answers reads: MLLP, folders, the web door; writes the journal, never the record
    back        empties the queues: translates, applies to the record, sends what is owed; the record's steady writer
    translator  makes translations ahead on another core, for the back
    processes   `serve` runs the two as two processes over the same files: translation never delays an
                acknowledgement, and the back is started again when it falls
    program     how we start a process of our own

Each half is imported by the process that runs it.
"""

from __future__ import annotations

from gateway.app.processes import serve, work

__all__ = ["serve", "work"]
