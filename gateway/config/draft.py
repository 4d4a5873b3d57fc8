"""The habits of one sender → the draft of its member.yaml, each line with its evidence as a comment.

A draft proposes only what the messages prove; what they leave open stands there as a question. It is valid as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping

from gateway.codec.hl7v2_habits import CODED, Habits
from gateway.codec.hl7v2_note import DIALECTS

SHOWN = 8  # values of one aspect
_CHARSETS = {"utf-8": "UTF-8", "gb18030": "GB18030", "big5hkscs": "BIG-5"}


def draft(habits: Habits, *, tables: Mapping[str, Collection[str]], number: int = 1) -> str:
    """The text of member.yaml. `tables`: the codes that each code table of the maps knows; `number` names a member
    whose MSH-4 gives no name that a folder may have."""
    return "\n".join(_lines(habits, tables, number)) + "\n"


def member_id(facility: str, number: int = 1) -> str:
    """A folder's name for the member: its MSH-4 in small letters where that is ASCII."""
    name = re.sub(r"[^a-z0-9]+", "-", facility.lower()).strip("-")[:40] if facility.isascii() else ""
    return name or f"member-{number}"


def _lines(habits: Habits, tables: Mapping[str, Collection[str]], number: int) -> Iterator[str]:
    own = member_id(habits.facility, number)
    yield f"# 草稿，由 hutong sniff 据 {habits.messages} 条消息写成，请核对后再用。"
    yield f"# A draft by hutong sniff from {habits.messages} messages. Check it, then: hutong check"
    yield f"id: {own}"
    yield f"name: {_text(habits.facility or own)}  # 机构名称 · write the institution's name"
    yield f"facilities: [{_text(habits.facility or own)}]  # MSH-4: {_told(habits, 'facility')}"
    yield "profile:"
    yield from _charset(habits)
    yield from _version(habits)
    yield from _zone(habits)
    applications = habits.of("application")
    if applications:
        yield f"  application: {_text(applications[0][0])}  # MSH-3: {_told(habits, 'application')}"
    yield from _moves(habits)
    yield from _numbers(habits)
    yield from _codes(habits, tables)
    yield "channels:"
    yield f"  - {{id: {own}-hl7, transport: mllp, format: hl7v2}}  # MSH-9: {_told(habits, 'kind')}"
    yield from _observed(habits)


def _charset(habits: Habits) -> Iterator[str]:
    declared = f"MSH-18: {_told(habits, 'declared charset')}"
    found = habits.of("charset")
    if not found:
        yield f"  # charset: 只有 ASCII，看不出 · only ASCII so far, the charset cannot be told; {declared}"
    elif len(found) > 1:
        told = _told(habits, "charset")
        yield f"  # charset: 不一致，逐条识别 · they differ, so each is detected: {told}; {declared}"
    else:
        name = _CHARSETS.get(found[0][0], found[0][0])
        told = f"{found[0][1].count} of {habits.foreign} messages with Chinese or other characters"
        yield f"  charset: {_text(name)}  # {told}, e.g. {found[0][1].example}; {declared}"


def _version(habits: Habits) -> Iterator[str]:
    known = [(value, seen) for value, seen in habits.of("version") if re.fullmatch(r"2\.\d(\.\d)?", value)]
    told = f"MSH-12: {_told(habits, 'version')}"
    yield f"  version: {_text(known[0][0])}  # {told}" if known else f"  # version: {told}"


def _zone(habits: Habits) -> Iterator[str]:
    """Only what the sender says itself: an offset of +0800 in a message from China. Nothing else names a zone."""
    offsets = [value for value, _ in habits.of("offset") if value != "(none)"]
    told = f"offsets: {_told(habits, 'offset')}; MSH-17: {_told(habits, 'country')}"
    chinese = "CHN" in dict(habits.of("country")) or "gb18030" in dict(habits.of("charset"))
    if offsets == ["+0800"] or (not offsets and chinese):
        why = "offset +0800" if offsets else "a Chinese sender; China has one zone"
        yield f"  time_zone: Asia/Shanghai  # {why}; {told}"
    else:
        yield f"  # time_zone: 请问对方 · ask them, nothing here proves one; {told}"


def _moves(habits: Habits) -> Iterator[str]:
    found = habits.of("move")
    if found:
        yield "  moves:"
        for move, seen in found:
            yield f"    - {_text(move)}  # {seen.count} of {habits.messages} messages, e.g. {seen.example}"


def _numbers(habits: Habits) -> Iterator[str]:
    """Assigning authorities; the gateway names a system for each by itself, so only a person adds others."""
    found = habits.of("authority")
    if found:
        yield "  # authorities:  发号机构 → 标识系统，不写则自动命名 · each is named by itself; add others as NAME: URI"
        for value, seen in found[: 2 * SHOWN]:
            yield f"  #   {value}: {seen.count}, e.g. {seen.example}"


def _codes(habits: Habits, tables: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Codes of the sender that no table knows, table by table."""
    for place, table in CODED.items():
        known = tables.get(table, ())
        strange = [
            (value, seen) for value, seen in habits.of(place) if value not in known and value.upper() not in known
        ]
        if strange:
            listed = ", ".join(f"{value!r} {seen.count}×" for value, seen in strange[:SHOWN])
            yield f"  # codes: {{{table}: …}}  {place} 未知代码 · not known: {listed}, e.g. {strange[0][1].example}"


def _observed(habits: Habits) -> Iterator[str]:
    yield "# 所见 · observed"
    for aspect in ("receiving application", "receiving facility", "time form", "code system", "own segment", *CODED):
        if habits.of(aspect):
            yield f"#   {aspect}: {_told(habits, aspect)}"
    for code, seen in habits.of("dialect"):
        yield f"#   {seen.count}× {code}, e.g. {seen.example}"
        yield f"#     {DIALECTS[code]}"


def _told(habits: Habits, aspect: str) -> str:
    found = habits.of(aspect)
    words = [f"{_plain(value)} {seen.count}×" for value, seen in found[:SHOWN]]
    if len(found) > SHOWN:
        words.append(f"and {len(found) - SHOWN} more")
    return ", ".join(words) or "never written"


def _plain(text: str) -> str:
    """One line of a comment, whatever a sender wrote."""
    return "".join(character if character.isprintable() else "?" for character in text)[:60]


def _text(text: str) -> str:
    return json.dumps(_plain(text), ensure_ascii=False)
