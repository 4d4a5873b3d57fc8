"""What `hutong learn` found in a file → the draft of its member's member.yaml; and a folder with such a draft, used as
it is."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from gateway.config.community import one_member
from gateway.config.draft import member_id
from gateway.model import Community, Member

_CHARSETS = {"utf-8": "UTF-8", "gb18030": "GB18030", "big5hkscs": "BIG-5"}
_PATTERNS = {
    "delimited": "*.csv",
    "fixed": "*.txt",
    "ndjson": "*.ndjson",
    "workbook": "*.xls*",
    "json": "*.json",
    "xml": "*.xml",
}


def member_yaml(
    *, id: str, format: str, charset: str, maps: Sequence[str], source: str,
    how: Sequence[str] = (), codes: Mapping[str, Collection[str]] | None = None,
) -> str:  # fmt: skip
    """The text of member.yaml; `source` names the sample, `how` what its bytes showed."""
    return "\n".join(_lines(id, format, charset, maps, source, how, codes or {})) + "\n"


def _lines(
    id: str, format: str, charset: str, maps: Sequence[str], source: str, how: Sequence[str],
    codes: Mapping[str, Collection[str]],
) -> Iterator[str]:  # fmt: skip
    yield f"# 草稿，由 hutong learn 据 {_plain(source)} 写成，请核对后再用；本文件夹可原样放入 members/ 之下。"
    yield f"# A draft by hutong learn from {_plain(source)}. Check it; the folder can be put below members/ as it is."
    for note in how:
        yield f"#   {_plain(note)}"
    yield f"id: {id}"
    yield f"name: {json.dumps(id)}  # 机构名称 · write the institution's name"
    yield f"facilities: [{json.dumps(id)}]  # 本机构号码的命名 · what names its own numbers"
    yield "profile:"
    if charset:
        yield f"  charset: {_CHARSETS.get(charset, charset.upper())}"
    yield "  time_zone: Asia/Shanghai  # 时间无时区 · its times carry no offset"
    yield f"  maps: [{', '.join(maps)}]"
    for table, strange in codes.items():
        listed = ", ".join(f"{json.dumps(each, ensure_ascii=False)}: …" for each in strange)
        yield f"  # codes: {{{table}: {{{listed}}}}}  # 未知代码，请对照 · not known: write the code each of them means"
    yield "channels:"
    pattern = f", pattern: {json.dumps(_PATTERNS[format])}" if format in _PATTERNS else ""
    yield f"  - {{id: {id}-files, transport: files, format: {format}, folder: in/{id}{pattern}}}"


def with_folder(community: Community, folder: Path, member: str | None, exports: Sequence[str]) -> Community:
    """The community with the maps of a folder, and with the member that is asked for: one that it knows takes the maps
    of the folder, one that it does not know is what the folder's member.yaml says. `exports`: the maps of the folder.
    Raises Configuration for a member.yaml with mistakes."""
    drafted = one_member(folder) if (folder / "member.yaml").is_file() else None
    named = member or (drafted.id if drafted else member_id(folder.name))
    names = tuple(drafted.profile.maps if drafted and drafted.profile.maps else exports)
    known = community.members.get(named) or drafted or Member(id=named, name=named, facilities=(named,))
    profile = msgspec.structs.replace(known.profile, maps=names)
    facilities = known.facilities if known.id == named else (named,)
    made = msgspec.structs.replace(known, id=named, facilities=facilities, profile=profile)
    others = {key: each for key, each in community.members.items() if key != named}
    return replace(community, members={**others, named: made})  # the last one, for whoever names none


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:100]
