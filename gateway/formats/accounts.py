"""What became of every value of a file of exports, and where each element came from: where people ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.formats.exports import facility, parts_of
from gateway.mapping.accounting.account import Account
from gateway.mapping.accounting.exported import account_of_export, explained, traced
from gateway.mapping.export_records import Part
from gateway.mapping.export_writer import TABLE
from gateway.mapping.learning.columns import of_table, of_tree
from gateway.mapping.learning.kinds import kinds
from gateway.mapping.learning.matching import assigned, read
from gateway.mapping.learning.vocabulary import vocabulary
from gateway.model import Channel, Entry, Member

if TYPE_CHECKING:
    from gateway.formats import Formats


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """For people."""

    explanation: str = ""
    account: Account | None = None


def of_export(
    formats: Formats, entry: Entry, channel: Channel | None, member: Member, *, explain: bool, loss: bool
) -> Told:
    """The account and the explanation of one file that can be translated."""
    parts, misfits = parts_of(formats, entry, channel, member)
    library = formats.maps.of(member.profile).library
    traces, context = traced(library, parts, member.profile, facility(member))
    missing = [each for part in parts for each in _missing(part, library.exports[part.name].format)] if loss else []
    return Told(
        explanation="\n".join(explained(traces, context)) if explain else "",
        account=account_of_export(traces, misfits, missing) if loss else None,
    )


def _missing(part: Part, format: str) -> Iterator[str]:
    """What files of this kind have besides, where its columns tell the kind."""
    records: Sequence[dict[str, str]] = part.records
    sample = of_table(list(records[0]) if records else [], records) if format == TABLE else of_tree(part.root)
    found = read(sample.columns, vocabulary())
    options = [(kind, assigned(found, kind.meanings)) for kind in kinds()]
    kind, matched = max(options, key=lambda each: each[0].likeness(each[1], len(found)))
    if kind.likeness(matched, len(found)):
        yield from kind.missing(matched)
