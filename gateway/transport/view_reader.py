"""One view of a member's database, looked at through its watermark, and record by record through its numbers.

Only SELECT is sent, every value as a bound parameter, every name as the database itself spells it. A page ends between
two watermarks, never between rows that share one: whatever order a database gives to texts, none is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy
from sqlalchemy import ColumnElement, Select
from sqlalchemy.engine import Connection

from gateway.codec.database_cell import cell
from gateway.errors import Configuration
from gateway.transport import database
from gateway.transport.watermark import Mark, plain

NUMBERS: Final = 100  # records asked for at once
ROWS: Final = 20_000  # of so many records; more mean that the key names no record

Number = tuple[Any, ...]  # the values of a record's key columns, as the driver gives them
Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The numbers of the records behind a position, and the last watermark among them. `more`: the view has others."""

    numbers: list[Number]
    last: Mark | None
    more: bool


@dataclass(slots=True)
class ViewReader:
    """`columns` as the database spells them. Raises our errors; their place is the view, or the view and a column."""

    connection: Connection
    name: str  # as in the settings
    stored: str = ""  # codec of text in latin1 and binary columns
    without: frozenset[str] = frozenset()  # columns that are not read, in small letters
    columns: tuple[str, ...] = field(init=False)
    _types: dict[str, Any] = field(init=False)
    _table: sqlalchemy.TableClause = field(init=False)

    def __post_init__(self) -> None:
        with database.told(self.name):
            schema, spelt, found = database.columns_of(sqlalchemy.inspect(self.connection), self.name)
        kept = [each for each in found if each["name"].casefold() not in self.without]
        self._types = {each["name"]: each["type"] for each in kept}
        self.columns = tuple(self._types)
        self._table = sqlalchemy.table(spelt, *map(sqlalchemy.column, self.columns), schema=schema)

    def spelt(self, column: str) -> str:
        """A column as the database writes it. Raises Configuration where it has none of that name."""
        found = next((each for each in self.columns if each.casefold() == column.casefold()), None)
        if found is None:
            raise Configuration(
                "the view has no such column", place=f"{self.name}.{column}",
                remedy="ask the member whether it was renamed, then mend the settings of the channel",
            )  # fmt: skip
        return found

    def page(self, key: Sequence[str], mark: str, *, after: Mark | None, again: bool, limit: int) -> Found:
        """The numbers of up to `limit` rows whose watermark is greater than `after` (`again`: or is that)."""
        statement = self.page_statement(key, mark, after=after, again=again, limit=limit)
        rows = self._all(statement)
        if len(rows) < limit:
            return Found([tuple(row[:-1]) for row in rows], self._mark(rows[-1][-1], mark) if rows else None, False)
        last = rows[-1][-1]
        whole = [row for row in rows if row[-1] != last]
        if whole:
            return Found([tuple(row[:-1]) for row in whole], self._mark(whole[-1][-1], mark), True)
        same = sqlalchemy.select(*(self._column(each) for each in key)).distinct()  # one watermark fills the page
        found = self._all(same.where(self._column(mark) == _bound(last)))
        return Found([tuple(row) for row in found], self._mark(last, mark), True)

    def page_statement(
        self, key: Sequence[str], mark: str, *, after: Mark | None, again: bool, limit: int
    ) -> Select[Any]:
        """What `page` asks."""
        grows = self._column(mark)
        asked = sqlalchemy.select(*(self._column(each) for each in key), grows).distinct()
        if after is None:
            asked = asked.where(grows.is_not(None))
        else:
            asked = asked.where(grows >= _bound(after) if again else grows > _bound(after))
        return asked.order_by(grows).limit(limit)

    def unmarked(self, mark: str) -> int:
        """How many rows have no watermark: no look finds them."""
        found = self._all(sqlalchemy.select(sqlalchemy.func.count()).where(self._column(mark).is_(None)))
        return int(found[0][0])

    def records(self, key: Sequence[str], numbers: Sequence[Number]) -> Iterator[Cells]:
        """All rows whose key columns are one of these; cells in the order of `columns`. The key may be that of another
        view, where a number is a text."""
        for start in range(0, len(numbers), NUMBERS):
            rows = self._all(self.records_statement(key, numbers[start : start + NUMBERS]))
            if len(rows) > ROWS:
                remedy = "name the columns that tell one record (a report) from others"
                raise Configuration("the key names no single record", place=self.name, remedy=remedy)
            yield from (tuple(cell(value, self.stored) for value in row) for row in rows)

    def records_statement(self, key: Sequence[str], numbers: Sequence[Number]) -> Select[Any]:
        """What `records` asks for some of the numbers."""
        asked = sqlalchemy.select(*map(self._column, self.columns))
        return asked.where(self._one_of(key, numbers)).limit(ROWS + 1)

    def text(self, number: Number) -> Cells:
        """A record's number as its cells say it."""
        return tuple(cell(value, self.stored) for value in number)

    def _one_of(self, key: Sequence[str], numbers: Sequence[Number]) -> ColumnElement[bool]:
        columns = [self._column(each) for each in key]
        fitting = [tuple(self._fit(each, value) for each, value in zip(key, one, strict=True)) for one in numbers]
        fitting = [each for each in dict.fromkeys(fitting) if None not in each]
        if len(columns) == 1:
            return columns[0].in_([_bound(each[0]) for each in fitting]) if fitting else sqlalchemy.false()
        equal = (
            sqlalchemy.and_(*(column == _bound(value) for column, value in zip(columns, each, strict=True)))
            for each in fitting
        )
        return sqlalchemy.or_(sqlalchemy.false(), *equal)

    def _fit(self, column: str, value: Any) -> Any:
        """A number of another view in the type of this column; None where it cannot be one."""
        type_ = self._types[column]
        if isinstance(type_, sqlalchemy.Integer | sqlalchemy.Numeric) and isinstance(value, str):
            return int(value) if value.strip().isascii() and value.strip().isdigit() else None
        if isinstance(type_, sqlalchemy.String) and isinstance(value, int | Decimal):
            return str(value)
        return value

    def _column(self, name: str) -> sqlalchemy.ColumnClause[Any]:
        return self._table.c[name]

    def _mark(self, value: Any, column: str) -> Mark:
        return plain(value, f"{self.name}.{column}")

    def _all(self, statement: Select[Any]) -> Sequence[Any]:
        """The rows; the transaction ends with them, so that the member's database may tidy up behind us."""
        with database.told(self.name):
            try:
                return self.connection.execute(statement.select_from(self._table)).fetchall()
            finally:
                self.connection.rollback()  # also after an error: the next statement begins anew


def _bound(value: Any) -> Any:
    """A parameter with the widest type of its kind."""
    match value:
        case int():
            return sqlalchemy.literal(value, sqlalchemy.BigInteger())
        case datetime() if value.tzinfo is not None:
            return sqlalchemy.literal(value, sqlalchemy.DateTime(timezone=True))
        case datetime():
            return sqlalchemy.literal(value, sqlalchemy.DateTime())
        case date():
            return sqlalchemy.literal(value, sqlalchemy.Date())
        case _:
            return sqlalchemy.literal(value)  # under a name of ours, not under that of a Chinese column
