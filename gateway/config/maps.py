"""What settings say about maps: that all maps compile, and that the ones named by a member exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.config.community import Survey
from gateway.config.page import Mistakes, nearest
from gateway.config.rules import EXPORTED, Note, Source
from gateway.errors import Configuration
from gateway.mapping import maps
from gateway.mapping.datatypes.codes import loinc_valid
from gateway.mapping.library import Library

_PLACED = re.compile(r"(?P<file>.+?):(?P<line>\d+): (?P<cause>.+)")


def check_maps(survey: Survey) -> None:
    """Compile the shipped maps and the community's own; add every mistake to the survey's."""
    folders = [maps.shipped(), *map(Path, survey.community.map_folders)]
    try:
        library = maps.load(folders).library
    except Configuration as error:
        for text in error.cause.splitlines():
            _add(text, survey.mistakes)
        return
    for source in survey.sources:
        note = Note(source, survey.mistakes)
        _check_codes(source, library, survey.mistakes)
        _check_names(source, note, library.exports, library.structures)
        for index, row in enumerate(source.member.profile.off):
            try:
                library.without((row,))
            except Configuration as error:
                note(error.cause, error.remedy, at=("profile", "off", index))


def _check_codes(source: Source, library: Library, mistakes: Mistakes) -> None:
    """A code list speaks of tables, of codes and of code systems that there are."""
    for row in source.codes:
        if row.system:
            known = "://" in row.system or row.system.startswith("urn:") or row.system.upper() in library.coding_systems
            if not known:
                remedy = "write its URI, or a name of HL7 table 0396 such as LN"
                mistakes.add(row.file, row.line, f"no code system is called {row.system!r}", remedy)
            elif row.system.upper() in ("LN", "HTTP://LOINC.ORG") and not loinc_valid(row.target):
                mistakes.add(row.file, row.line, f"{row.target!r} is no LOINC code", "its check digit is wrong")
        elif row.table not in library.codes:
            remedy = nearest(row.table, library.codes, what="known code tables")
            mistakes.add(row.file, row.line, f"there is no code table {row.table!r}", remedy)
        elif row.target not in library.codes[row.table].into:
            names = library.codes[row.table].into
            remedy = nearest(row.target, names, what="its codes")
            mistakes.add(row.file, row.line, f"code table {row.table} does not know {row.target!r}", remedy)


def _add(text: str, mistakes: Mistakes) -> None:
    placed = _PLACED.fullmatch(text)
    if placed:
        mistakes.add(placed["file"], int(placed["line"]), placed["cause"])
    else:
        mistakes.add("maps", 0, text)


def _check_names(source: Source, note: Note, exports: Mapping[str, object], structures: Mapping[str, object]) -> None:
    for index, name in enumerate(source.member.profile.maps):
        _known(name, exports, "export map", note, ("profile", "maps", index))
    for index, channel in enumerate(source.member.channels):
        _known(channel.map, exports, "export map", note, ("channels", index, "map"))
    for index, subscription in enumerate(source.member.subscriptions):
        at = ("subscriptions", index, "message")
        if subscription.format == "hl7v2":
            _known(subscription.message, structures, "message structure", note, at)
        elif subscription.format in EXPORTED:
            _known(subscription.message, exports, "export map", note, at)


def _known(name: str, known: Iterable[str], what: str, note: Note, at: tuple[str | int, ...]) -> None:
    names = list(known)
    if name and name not in names:
        note(f"there is no {what} {name!r}", nearest(name, names, what=f"known {what}s"), at=at)
