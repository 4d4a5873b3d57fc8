"""Moves the databases of a data directory: from SQLite to PostgreSQL, back, or to another PostgreSQL. Nothing runs over
it meanwhile; what was moved stays where it was, under another name, until a person deletes it.

Ended at any moment, it can be begun again: a half that has arrived whole is known by its sums.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.db import address, copying, opening
from gateway.db.copying import Sum
from gateway.db.engine import Engine
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Configuration

SQLITE: Final = "sqlite"
ARRIVING: Final = ".arriving"  # behind the name of a file that is being written
MOVED: Final = ".moved"  # behind the name of a file that is not used any more

Told = Callable[[str, str, int], None]  # schema, table, rows


def move(data: Path, to: str, told: Told) -> dict[str, Mapping[str, Sum]]:
    """`to`: 'sqlite', or the address of a PostgreSQL. Returns the sums of all tables by schema.

    Raises Configuration where the record is there already or the target holds another one, and as the engines do.
    """
    known = address.remembered(data)
    if (to == SQLITE and not known) or (known and to != SQLITE and address.read(known) == address.read(to)):
        raise Configuration("the record is there already", place="--to", remedy="name where it shall be")
    found = {}
    for schema in opening.SCHEMAS:
        with closing(opening.opened(data, schema)) as source, closing(_target(data, to, schema)) as target:
            found[schema] = _copied(source, target, functools.partial(told, schema))
    if to == SQLITE:
        for schema in opening.SCHEMAS:
            file = opening.file(data, schema)
            file.with_name(file.name + ARRIVING).replace(file)
        address.remember(data, "")
    else:
        address.remember(data, to)
        for schema in opening.SCHEMAS:
            file = opening.file(data, schema)
            if file.is_file():
                file.replace(file.with_name(file.name + MOVED))
    return found


def _target(data: Path, to: str, schema: str) -> Engine:
    if to != SQLITE:
        return opening.named(to, schema)
    file = opening.file(data, schema)
    if file.is_file():
        remedy = "move it out of the data directory"
        raise Configuration(f"there is a {file.name} already", place=str(data), remedy=remedy)
    return SqliteEngine(file.with_name(file.name + ARRIVING), schema=schema)


def _copied(source: Engine, target: Engine, told: copying.Told) -> Mapping[str, Sum]:
    with source.reading() as reader:
        with target.reading() as there:
            if copying.same(reader, there):
                return copying.sums(reader)
        return copying.copy(reader, target, told)
