"""The draft of a map: the kind that fits best, its text with the evidence of each guess, what was not understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.mapping.learning.columns import Sample
from gateway.mapping.learning.evidence import HOLDS, TELLING, VAGUE, Evidence
from gateway.mapping.learning.kinds import Kind, kinds
from gateway.mapping.learning.matching import Match, Read, assigned, read
from gateway.mapping.learning.rendering import Renderer, quoted, type_of
from gateway.mapping.learning.vocabulary import vocabulary
from gateway.mapping.library import Library

_SURE, _LIKELY = 0.85, 0.6
_ASKED = 8  # columns by which a file is recognised
_LATEST = ("修改时间", "审核时间", "报告时间")
_CODES = 12  # a column with more values than this holds no codes
_NAMES = 0.3  # the share of values that look like names, above which none is shown
_LINE = re.compile(r"\s*(.*?)\s+(<->|->|<-)\s+(\S+(?: = .*)?)\s*(.*)")
_CODE = re.compile(r"[0-9A-Za-z]{1,4}|[\u4e00-\u9fff]{1,6}|[+\-±↑↓*★]{1,2}")  # what may be shown: a code, never a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was learned of one table or tree."""

    sample: Sample
    kind: Kind | None  # None: it is like no kind
    text: str  # of the map; "" without a kind
    matches: tuple[Match, ...]
    unmapped: tuple[Read, ...]  # columns that no line reads
    fitting: tuple[str, ...]  # maps that read it already, the most specific first
    missing: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()  # columns that tell which of two records about the same is newer
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # code table → codes that it does not know


def learned(sample: Sample, library: Library, *, name: str) -> Draft:
    """The draft for one sample; `name` is that of the export."""
    found = read(sample.columns, vocabulary())
    fitting = tuple(_fitting(sample, library))
    options = [(kind, assigned(found, kind.meanings)) for kind in kinds()]
    for kind, matched in sorted(options, key=lambda each: -each[0].likeness(each[1], len(found))):
        renderer = Renderer({name: each for name, each in matched.items() if name in kind.meanings}, library.codes)
        blocks = list(renderer.blocks(kind)) if kind.likeness(matched, len(found)) else []
        if any(type_of(block[0]) == kind.lead for block in blocks):
            break
    else:
        return Draft(sample=sample, kind=None, text="", matches=(), unmapped=tuple(found), fitting=fitting)
    used = {name: each for name, each in matched.items() if name in renderer.used}
    columns = {each.column.shown for each in used.values()}
    draft = Draft(
        sample=sample, kind=kind, text="", matches=tuple(used.values()), fitting=fitting,
        unmapped=tuple(each for each in found if each.column.shown not in columns),
        missing=tuple(kind.missing(matched)),
        latest=tuple(_newer(matched)),
        codes=dict(_unknown(renderer, library)),
    )  # fmt: skip
    text = "\n".join((*_head(draft, name), *_declared(draft, name), "", *_body(blocks)))
    return replace(draft, text=text + "\n")


def _newer(matched: Mapping[str, Match]) -> Iterator[str]:
    """The columns that tell which of two records about the same is newer."""
    found = (matched[each].column for each in _LATEST if each in matched)
    yield from (column.name for column in found if not column.each and not column.name.startswith("/"))


def _fitting(sample: Sample, library: Library) -> Iterator[str]:
    there = set(sample.names)
    fits = [each for each in library.exports.values() if each.format == sample.format and set(each.columns) <= there]
    for export in sorted(fits, key=lambda each: -len(each.columns)):
        if sample.format == "table" or export.each == sample.each:
            yield export.name


def _unknown(renderer: Renderer, library: Library) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The codes of the sample that no table knows, where they are codes: few, and no names."""
    for meaning, table in renderer.coded.items():
        match, known = renderer.found[meaning], library.codes[table].into
        if match.evidence.distinct > _CODES or match.evidence.share("person") > _NAMES:
            continue
        values = dict.fromkeys(value.strip() for value in match.column.values if value.strip())
        strange = [each for each in values if each not in known and each.upper() not in known and _CODE.fullmatch(each)]
        if strange:
            yield table, tuple(strange)


# ---------------------------------------------------------------------------------------------- the text


def _head(draft: Draft, name: str) -> Iterator[str]:
    kind = draft.kind
    assert kind is not None  # noqa: S101 - the caller has one
    count, title = draft.sample.records, kind.title
    yield f"# 草稿，由 hutong learn 据 {count} 条记录写成：{title}。请核对后再用。"
    yield f"# A draft of {name} by hutong learn from {count} records. It works as it is; check each guess."
    if not count:
        yield "# 没有记录，仅据列名推断。 · There are no records: only the names of the columns were looked at."
    if draft.fitting:
        yield f"# 已有映射可用 · a map that is there reads it already: {' '.join(draft.fitting)}"
    yield "#"
    yield "# 列 = 含义  把握 · column = meaning  confidence  evidence (counts of patterns, no values)"
    for each in draft.matches:
        evidence = f"{each.why}; {told(each.evidence, each.meaning)}"
        yield f"#   {_plain(each.column.shown)} = {each.meaning}  {certainty(each.confidence)}  {evidence}"
    if draft.unmapped:
        yield "# 未映射 · not mapped"
        for column in draft.unmapped:
            yield f"#   {_plain(column.column.shown)}  {guessed(column)}{told(column.evidence)}"
    for missing in draft.missing:
        yield f"# 没有找到 · not found: {missing}"
    for table, strange in draft.codes.items():
        yield f"# 未知代码 · codes that {table} does not know: {' '.join(strange)}"
        yield f"#   member.yaml: profile: codes: {{{table}: …}}"
    yield ""


def _declared(draft: Draft, name: str) -> Iterator[str]:
    kind, sample = draft.kind, draft.sample
    assert kind is not None  # noqa: S101
    yield f"export {name} {sample.format} {kind.head}"
    if sample.each:
        yield f"  each {quoted(sample.each)}"
    asked = [each.column for each in sorted(draft.matches, key=lambda each: -each.confidence)]
    names = dict.fromkeys(
        _first(each.name) if sample.format == "tree" else each.name for each in asked if not each.each
    )
    known = [each for each in names if each in sample.names]
    yield f"  columns {' '.join(map(quoted, known[:_ASKED] or sample.names[:1]))}"
    if draft.latest:
        yield f"  latest {' '.join(map(quoted, draft.latest))}"


def _first(path: str) -> str:
    return path.partition("/")[0]


def _body(blocks: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for index, (head, *lines) in enumerate(blocks):
        if index:
            yield ""
        yield head
        parts = [_LINE.fullmatch(line) for line in lines]
        sources, targets = (max((_width(part[at]) for part in parts if part), default=0) for at in (1, 3))
        for part in parts:
            assert part is not None  # noqa: S101 - a kind has no other lines
            source = part[1] + " " * (min(sources, 24) - _width(part[1]))
            rest = f"{part[3]}{' ' * (min(targets, 40) - _width(part[3]))} {part[4]}".rstrip()
            yield f"  {source} {part[2]:<3} {rest}"


def _width(text: str) -> int:
    """In a terminal: a Chinese character takes two places."""
    return sum(2 if each > "\u2e7f" else 1 for each in text)


# --------------------------------------------------------------------------------------------- for people


def certainty(confidence: float) -> str:
    """'sure 0.95', 'likely 0.70', 'guess 0.50'."""
    word = "sure" if confidence >= _SURE else "likely" if confidence >= _LIKELY else "guess"
    return f"{word} {min(confidence, 1.0):.2f}"


def told(evidence: Evidence, meaning: str = "") -> str:
    """'118 of 118 filled, 19 distinct; idcard 118': of the patterns those that speak for the meaning."""
    wanted = HOLDS.get(vocabulary().holds.get(meaning, ""), ()) if meaning else TELLING
    shown = [f"{name} {evidence.seen[name]}" for name in wanted if name in evidence.seen and name not in VAGUE][:3]
    form = f", form {evidence.form}" if evidence.form else ""
    filled = f"{evidence.filled} of {evidence.count} filled, {evidence.distinct} distinct"
    return f"{filled}{'; ' if shown else ''}{', '.join(shown)}{form}"


def guessed(column: Read) -> str:
    """What an unmapped column might be."""
    best = next(iter(column.guesses), None)
    return f"({best.meaning}? {best.confidence:.2f}) " if best else ""


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)[:60]
