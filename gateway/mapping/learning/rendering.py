"""A kind and the columns that were found → the blocks of a map, with the columns in place of the meanings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.mapping.learning.kinds import Kind, alternatives, names_of
from gateway.mapping.learning.matching import Match
from gateway.mapping.syntax import CodeTable

_MARK = re.compile(r"«([^»]*)»")
_PLAIN = re.compile(r"(?![A-Z][A-Z0-9]{2}(?![0-9A-Za-z_]))[A-Za-z_\u3400-\u9fff][0-9A-Za-z_\u3400-\u9fff/]*")
_WORDS = frozenset(  # of the language
    ("row", "rows", "by", "each", "key", "if", "in", "not", "once", "found", "unless", "and", "or", "else", "reopen",
     "columns", "order", "for", "codes", "system", "export", "message")
)  # fmt: skip
_TYPES = {
    "moment": ("moment", "daytime"),
    "staff": ("person", "staff"),
    "paper": ("card", "paper"),
}  # alone, with a column


class _Left(Exception):
    """A line whose column is not there."""


@dataclass(slots=True)
class Renderer:
    """Writes the blocks of one draft."""

    found: Mapping[str, Match]
    tables: Mapping[str, CodeTable]
    used: set[str] = field(default_factory=set)  # meanings that a line carries
    coded: dict[str, str] = field(default_factory=dict)  # meaning → code table through which it is read
    _each: str = ""  # the list of the block that is written
    _source: str = ""  # the meaning that the line reads

    def blocks(self, kind: Kind) -> Iterator[tuple[str, ...]]:
        """The blocks for which there are columns; no line refers to one that is not made."""
        made = [block for lines in kind.blocks if (block := self._block(lines))]
        types = {type_of(block[0]) for block in made}
        for head, *lines in made:
            yield (_keyed(head, types), *(line for line in lines if _linked(line, types)))

    def _block(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        self._each = ""
        try:
            head = self._head(lines[0])
        except _Left:
            return ()
        body = []
        told = False
        for line in lines[1:]:
            try:
                before = len(self.used)
                written = self._line(line)
            except _Left:
                continue
            told = told or "«" in line or len(self.used) > before
            body.append(written)
        return (head, *body) if told else ()

    # ------------------------------------------------------------------------------------------ heads

    def _head(self, line: str) -> str:
        extent, arrow, rest = line.partition(" => ")
        if extent.startswith("each "):
            extent = self._extent_of_each(extent)
        elif extent.startswith("rows by "):
            extent, named = self._extent_of_rows(extent)
            rest += f" key {named}" if named and " key " not in rest else ""
        rest, sign, condition = rest.partition(" if ")
        asked = self._text(condition).replace("|", " or ") if sign else ""
        head = re.sub(r" +", " ", self._text(f"{extent}{arrow}{rest}").replace(' ""', "") + f"{sign}{asked}")
        if " if " in line and head.rstrip().endswith(" if"):
            raise _Left
        return head

    def _extent_of_each(self, extent: str) -> str:
        extent, _, rows = extent.partition(" rows by ")
        mark = _MARK.findall(extent)[0]
        match = next((self.found[name] for name in names_of(mark) if name in self.found), None)
        if match is None:
            raise _Left
        self._each = match.column.each
        if self._each:
            return f"each {quoted(self._each)}"
        return self._extent_of_rows(rows)[0] if rows else "row"

    def _extent_of_rows(self, extent: str) -> tuple[str, str]:
        """The extent, and the columns that name what has no number of its own."""
        columns: list[str] = []
        compound = False
        for mark in _MARK.findall(extent):
            if mark[:1] in "?!":
                self._mark(mark)
                continue
            names = self._numbering(mark)
            compound = compound or len(self._alternative(mark)) > 1 or "+" in mark
            columns.extend(self._column(name) for name in names)
        if any(column.startswith('"/') for column in columns):
            return "row", ""  # it stands above all records
        return "rows by " + " ".join(columns), " ".join(columns) if compound else ""

    def _numbering(self, mark: str) -> tuple[str, ...]:
        """The first alternative; where rows leave its column empty, with it those columns that number these rows: a
        file of inpatients and outpatients has 住院号 for the ones and 门诊号 for the others."""
        first = self._alternative(mark)
        if len(first) > 1 or "+" in mark:
            return first
        names, without = [*first], self._without(first[0])
        for name, *more in alternatives(mark):
            left = without & self._without(name) if not more and self._there(name) else without
            if name not in names and left != without:
                names, without = [*names, name], left
        return tuple(names)

    def _without(self, name: str) -> frozenset[int]:
        """The records of the sample that leave its column empty; none of a tree's, which has no cells."""
        return frozenset(index for index, text in enumerate(self.found[name].column.values) if not text.strip())

    # ------------------------------------------------------------------------------------------ lines

    def _line(self, line: str) -> str:
        _, sign, condition = line.partition(" ? ")
        if sign and not any(name in self.found for mark in _MARK.findall(condition) for name in names_of(mark)):
            raise _Left
        return self._text(line)

    def _text(self, text: str) -> str:
        self._source = ""
        return _MARK.sub(lambda match: self._mark(match[1]), text)

    def _mark(self, mark: str) -> str:
        if mark in self.tables:
            return self._table(mark)
        if mark[:1] in "?!":
            if (mark[0] == "?") != any(name in self.found for name in names_of(mark)):
                raise _Left
            return ""
        datatype, _, mark = mark.rpartition(":")
        optional = mark.endswith("?") or bool(datatype)
        try:
            names = self._alternative(mark.rstrip("?"))
        except _Left:
            if optional:
                return _TYPES[datatype][0] if datatype else '""'
            raise
        if "+" not in mark and not datatype and not optional:
            self._source = names[0]
        columns = [self._column(name) for name in names]
        if datatype:
            return f"{_TYPES[datatype][1]}({columns[0]})"
        return "|".join(columns) if "+" in mark else " ".join(columns)

    def _alternative(self, mark: str) -> tuple[str, ...]:
        """The meanings of the first alternative that is there; of `a+b` all that are."""
        if "+" in mark:
            names = tuple(name for name in mark.split("+") if self._there(name))
            if not names:
                raise _Left
            return names
        for names in alternatives(mark):
            if all(map(self._there, names)):
                return names
        raise _Left

    def _there(self, name: str) -> bool:
        """Can a block read the column: in the record, or in the list whose elements it is written for?"""
        match = self.found.get(name)
        return match is not None and match.column.each in ("", self._each)

    def _column(self, name: str) -> str:
        column = self.found[name].column
        self.used.add(name)
        above = self._each and not column.each and not column.name.startswith("/")
        return quoted(f"../{column.name}" if above else column.name)

    def _table(self, name: str) -> str:
        """The variant of a code table that knows the most of the column's values."""
        seen = (
            {value.strip() for value in self.found[self._source].column.values if value.strip()}
            if self._source
            else set()
        )
        variants = [each for each in self.tables if re.fullmatch(rf"{re.escape(name)}(-\d)?", each)]
        best = max(sorted(variants), key=lambda each: len(seen & self.tables[each].into.keys()))
        if self._source:
            self.coded[self._source] = best
        return best


def quoted(name: str) -> str:
    """A column as a map writes it."""
    return name if _PLAIN.fullmatch(name) and name not in _WORDS else f'"{name}"'


def type_of(head: str) -> str:
    """The type of the resource that a block makes, by its head."""
    return re.split(r"[ .*]", head.partition(" => ")[2].strip())[0]


def _linked(line: str, types: Collection[str]) -> bool:
    """Is what a line refers to made?"""
    return all(type_ in types for type_ in re.findall(r"= @{1,3}([A-Z][A-Za-z]+)", line))


def _keyed(head: str, types: Collection[str]) -> str:
    """The head without the parts of its key that nothing makes."""
    before, sign, key = head.partition(" key ")
    key = re.sub(r"@([A-Z][A-Za-z]+)\|?", lambda match: match[0] if match[1] in types else "", key)
    key = re.sub(r"\|(?= |$)", "", key).strip()
    return f"{before}{sign}{key}" if sign and key and not key.startswith("if ") else f"{before} {key}".rstrip()
