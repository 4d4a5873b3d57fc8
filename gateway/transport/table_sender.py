"""A delivery → rows of a middle table in the receiver's database: all of them in one transaction, or none.

Twice the same delivery is the same rows once: its number stands in a column of its own, and is looked for before
anything is written; or a key tells which rows are there, and they are written over. A commit whose answer is lost is
Ambiguous: the next attempt finds what became of it. A unique index on these columns makes it certain also when an
attempt of a program that was killed still commits in the server.

Names come from the settings and are spelt as the database has them; values are always bound parameters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from gateway.codec import rows
from gateway.errors import Ambiguous, Configuration, HutongError, Permanent
from gateway.model import Delivery, Receipt, Table
from gateway.transport import database
from gateway.transport.table_value import value

_UNFIT: Final = frozenset({"1366", "1406", "1264", "1265", "1292", "4025", "3819"})  # MySQL, MariaDB: a value
_FITS: Final = "mend the map, or let the receiver mend its table; then replay"


@dataclass(frozen=True, slots=True)
class _Target:
    """The table as the database has it."""

    table: sqlalchemy.TableClause
    columns: Mapping[str, Any]  # by name in small letters: what is known of it

    def column(self, name: str, place: str) -> Any:
        """What is known of a column. Raises Configuration where there is none."""
        found = self.columns.get(name.casefold())
        if found is None:
            remedy = "ask the receiver, then mend the subscription's `table`"
            raise Configuration("the table has no such column", place=f"{place}.{name}", remedy=remedy)
        return found


class TableSender:
    """Writes into one table. `settings` say which cell goes into which of its columns."""

    parallel = 1

    def __init__(self, address: str, settings: Table, *, timeout: float = 30.0) -> None:
        self._address = address
        self._settings = settings
        self._seconds = max(1, int(timeout))
        self._engine: Engine | None = None
        self._target: _Target | None = None

    async def send(self, body: bytes, delivery: Delivery) -> Receipt:
        """The receipt when the rows are committed, or were before. Raises our errors, and leaves nothing half-written:
        Ambiguous where only the answer to the commit is missing."""
        try:
            said = await asyncio.to_thread(
                self._write, rows.decode(body).tables, delivery.idempotency or str(delivery.id)
            )
        except HutongError:
            self._target = None  # the table may have been mended when we come again
            raise
        return Receipt(at=datetime.now(UTC), code=said)

    async def close(self) -> None:
        """Give back the connection."""
        if self._engine is not None:
            self._engine.dispose()

    def _write(self, sheets: Sequence[rows.Sheet], number: str) -> str:
        place = self._settings.name
        self._engine = self._engine or database.engine(self._address, reading=False, seconds=self._seconds, kept=True)
        with database.connected(self._engine, place) as connection:
            target = self._target = self._target or _opened(connection, place)
            made = [row for sheet in sheets for row in self._rows(sheet, target, number)]
            if self._there(connection, target, number):
                return "there"
            try:
                for row in made:
                    self._put(connection, target, row)
            except (IntegrityError, DataError) as error:
                return self._refused(connection, target, number, error)
            except SQLAlchemyError as error:
                if database.code_of(error) in _UNFIT:
                    return self._refused(connection, target, number, error)
                raise
            _commit(connection, place)
        return "written"

    def _refused(self, connection: Connection, target: _Target, number: str, error: SQLAlchemyError) -> str:
        """The table takes no such row; or another attempt has written them in this moment."""
        connection.rollback()
        if isinstance(error, IntegrityError) and self._there(connection, target, number):
            return "there"
        code = database.code_of(error)
        said = "breaks a rule of the table" if isinstance(error, IntegrityError) else "has a value that does not fit"
        cause = f"a row {said}" + (f" ({code})" if code else "")
        raise Permanent(cause, place=self._settings.name, remedy=_FITS, code="102") from None

    def _there(self, connection: Connection, target: _Target, number: str) -> bool:
        """Were the rows of this delivery written before?"""
        if not self._settings.delivery:
            return False
        column = target.table.c[target.column(self._settings.delivery, self._settings.name)["name"]]
        asked = sqlalchemy.select(sqlalchemy.literal(1)).select_from(target.table).where(column == number).limit(1)
        found = connection.execute(asked).first()
        return found is not None

    def _rows(self, sheet: rows.Sheet, target: _Target, number: str) -> Iterator[dict[str, Any]]:
        """The rows by the table's own columns, in its own types."""
        settings = self._settings
        places = self._places(sheet, target)
        yes, no = settings.marks
        withdrawn = sheet.columns.index(rows.WITHDRAWN) if rows.WITHDRAWN in sheet.columns else None
        for count, cells in enumerate(sheet.cells, 1):
            said = {column: cells[place] for column, place in places.items()} | dict(settings.constants)
            if settings.delivery:
                said[settings.delivery] = number
            if settings.number:
                said[settings.number] = str(count)
            if settings.withdrawn:
                said[settings.withdrawn] = yes if withdrawn is not None and cells[withdrawn] else no
            yield {
                (known := target.column(column, settings.name))["name"]: value(
                    text, known["type"], nullable=known["nullable"], place=f"{settings.name}.{column}"
                )
                for column, text in said.items()
            }

    def _places(self, sheet: rows.Sheet, target: _Target) -> dict[str, int]:
        """Column of the table → place in the cells: as the settings say, else what both call the same."""
        if not self._settings.columns:
            return {column: place for place, column in enumerate(sheet.columns) if column.casefold() in target.columns}
        at = {column: place for place, column in enumerate(sheet.columns)}
        missing = next((each for each in self._settings.columns if each not in at), "")
        if missing:
            remedy = f"one of {', '.join(each for each in sheet.columns if not each.startswith('@'))}"
            raise Configuration("the map has no such column", place=f"table.columns.{missing}", remedy=remedy)
        return {column: at[cell] for cell, column in self._settings.columns.items()}

    def _put(self, connection: Connection, target: _Target, row: dict[str, Any]) -> None:
        key = [target.column(each, self._settings.name)["name"] for each in self._settings.key]
        if key:
            same = sqlalchemy.and_(*(target.table.c[each] == row[each] for each in key))
            if connection.execute(
                sqlalchemy.select(sqlalchemy.literal(1)).select_from(target.table).where(same)
            ).first():
                changed = {name: each for name, each in row.items() if name not in key}
                connection.execute(sqlalchemy.update(target.table).where(same).values(changed))
                return
        connection.execute(sqlalchemy.insert(target.table).values(row))


def _opened(connection: Connection, place: str) -> _Target:
    """The table and its columns. Raises Configuration for one that is not there, or keeps no transactions."""
    inspector = sqlalchemy.inspect(connection)
    schema, name, found = database.columns_of(inspector, place)
    if connection.dialect.name in ("mysql", "mariadb"):
        options = inspector.get_table_options(name, schema)
        engine = str(options.get(f"{connection.dialect.name}_engine", "InnoDB"))
        if engine.lower() in ("myisam", "aria", "memory", "csv"):
            remedy = "let the receiver say ALTER TABLE … ENGINE=InnoDB"
            raise Configuration(f"the table keeps no transactions ({engine})", place=place, remedy=remedy)
    if connection.dialect.name == "sqlite":  # its driver has no decimals; the column makes a number of the text
        found = [each | {"type": sqlalchemy.String()} if _is_decimal(each["type"]) else each for each in found]
    table = sqlalchemy.table(name, *(sqlalchemy.column(each["name"], each["type"]) for each in found), schema=schema)
    return _Target(table, {each["name"].casefold(): each for each in found})


def _is_decimal(type_: Any) -> bool:
    return isinstance(type_, sqlalchemy.Numeric) and not isinstance(type_, sqlalchemy.Float)


def _commit(connection: Connection, place: str) -> None:
    """Raises Ambiguous where nobody knows whether it was."""
    try:
        connection.commit()
    except (IntegrityError, DataError):  # deferred constraints: the server has rolled back
        raise Permanent("a row breaks a rule of the table", place=place, remedy=_FITS, code="102") from None
    except (SQLAlchemyError, OSError) as error:
        cause = f"the answer to the commit did not come ({type(error).__name__})"
        raise Ambiguous(cause, place=place, remedy="the next attempt finds whether it was written") from None
