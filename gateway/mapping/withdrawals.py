"""Columns that by their name say whether a record still holds: 作废标志, cancel_flag, 作废时间, 是否有效, 更正标志
(china.md §2.8: never passed over), whatever export they stand in.

One that the map of the export reads under another name is read as that. Of what no line reads nobody can say what
becomes of it: a record that is marked there waits for a person, and is never taken for one that holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from gateway.mapping.datatypes.clocks import says_none
from gateway.mapping.runtime import nodes, scalar
from gateway.mapping.unread import Unread

BACK, VALID, WHEN, CORRECTED, STATE, PERHAPS = "back", "valid", "when", "corrected", "state", "perhaps"
_WORDS: Final = "作废|废弃|废除|撤销|撤消|撤回|取消|删除|退费|退号|退单|退药|冲销|冲红|注销|召回"
_SIGN: Final = "标志|标识|标记|标示|标致|状态|否|flag"
_KINDS: Final = (
    (WHEN, re.compile(rf"(?:{_WORDS})(?:时间|日期|人|人员|操作员|医生|者|原因|理由|说明)|(?:qx|tf|cx)(?:sj|rq|yy)")),
    (BACK, re.compile(
        rf"(?:是否|有无|已)?(?:被|已)?(?:{_WORDS})(?:{_SIGN})?|(?:cx|qx|tf|fq|th)_?(?:bz|bs|flag)"
        r"|(?:is_?|has_?)?(?:cancel(?:l?ed)?|deleted?|del|void(?:ed)?|revoked?|withdrawn|obsolete|invalid|discard(?:ed)?"
        r"|refund(?:ed)?)(?:_?(?:flag|mark|status|ind|yn|tag))?"
    )),
    (PERHAPS, re.compile(r"zf_?(?:bz|bs|flag)")),  # 作废标志 or 自费标志
    (VALID, re.compile(
        rf"(?:是否)?有效(?:{_SIGN})?|yx_?(?:bz|bs|flag)|(?:is_?)?(?:valid|active|enabled?)(?:_?(?:flag|mark|ind|yn|tag))?"
    )),
    (CORRECTED, re.compile(rf"(?:是否|已)?(?:更正|修改|修正|修订)(?:{_SIGN})?|(?:xg|gz)_?(?:bz|bs|flag)")),
    (STATE, re.compile(
        r"(?:记录|数据|操作)(?:状态|标志|标识|类型)|数据操作|jl_?zt|sjzt|czlx|czbz|zt|(?:record|row|data)_?status"
        r"|(?:op|oper|operate|operation)_?(?:type|flag)|action_?(?:type|flag)?"
    )),
)  # fmt: skip
_CALLED: Final = {  # what a map calls them: the first that it reads and the file does not have
    BACK: ("作废标志", "撤销标志", "删除标志", "作废"),
    VALID: ("有效标志",),
    WHEN: ("作废时间",),
    CORRECTED: ("更正标志",),
    STATE: ("操作类型",),
    PERHAPS: ("ZFBZ",),
}
_OWN: Final = frozenset(
    {"zt", "jlzt", "sjzt", "记录状态", "数据状态"}
)  # what their codes mean each vendor says otherwise
_NO: Final = frozenset(
    {"", "0", "0.0", "否", "N", "NO", "F", "FALSE", "正常", "有效", "未作废", "未撤销", "未取消", "未退费"}
)
_YES: Final = frozenset({"", "1", "1.0", "是", "Y", "YES", "T", "TRUE", "正常", "有效", "√"})
_HOLDS: Final = frozenset({"", "正常", "有效", "新增", "插入", "更新", "A", "I", "U", "INSERT", "UPDATE", "ADD", "NEW"})
_LONGEST: Final = 60  # characters of a name of a column

UNREAD: Final = "by this it does not hold any more, and the map does not read it: a person has to look at it"

Told = tuple[int, str, str]  # the record's place, its column, the cause


@lru_cache(maxsize=4096)
def kind_of(name: str) -> str:
    """What a column says of its records, "" for most."""
    if len(name) > _LONGEST:
        return ""
    text = re.sub(r"\s+", "", unicodedata.normalize("NFKC", name)).strip("*#:※★_").casefold()
    return next((kind for kind, form in _KINDS if form.fullmatch(text)), "")


def spelling(columns: Sequence[str], known: frozenset[str]) -> dict[str, str]:
    """Of the columns that a map does not know by their names: as it calls what they say."""
    found: dict[str, str] = {}
    for each in columns:
        if each not in known and (kind := kind_of(each)) and each.replace("_", "").casefold() not in _OWN:
            free = (name for name in _CALLED[kind] if name in known and name not in columns)
            name = next((name for name in free if name not in found.values()), "")
            if name:
                found[each] = name
    return found


class Marks:
    """The columns of one export that its lines cannot read, and what they say of its records."""

    def __init__(
        self, known: frozenset[str], cell: Callable[[Any, str], str], tables: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.known = known
        self.cell = cell
        self.tables = {  # of states that a map reads, without a word for all other codes
            name: frozenset(table) for name, table in tables.items() if kind_of(name) == STATE and "*" not in table
        }

    def of(self, records: Sequence[Any]) -> Iterator[Told]:
        """The records that a person has to look at."""
        for name in self._unread(records):
            cells = list(map(_plain, (self.cell(record, name) for record in records)))
            found = _causes(kind_of(name), cells, self.tables.get(name, _HOLDS))
            yield from ((index, name, cause) for index, cause in found)

    def children(self, record: Any, path: str, read: frozenset[str], unread: Unread) -> Iterator[Any]:
        """The nodes at a path inside a record that hold; others are told. `read`: the names that lines read there."""
        for child in nodes(record, path):
            if not isinstance(child, dict):
                if text := scalar(child):
                    unread.tell(path, text, "it is a text where a record belongs; it was left out")
                continue
            name = next((name for name in child if name not in read and self._taken_back(child, name)), "")
            if name:
                unread.tell(f"{path}/{name}", self.cell(child, name), f"{UNREAD}; it was left out")
            else:
                yield child

    def _taken_back(self, node: Any, name: str) -> bool:
        kind = kind_of(name)
        return kind in (BACK, VALID, WHEN) and any(_causes(kind, [_plain(self.cell(node, name))], _HOLDS))

    def _unread(self, records: Sequence[Any]) -> list[str]:
        names: dict[str, None] = {}
        last: Any = None
        for record in records:
            if isinstance(record, dict) and (last is None or record.keys() != last):
                last = record.keys()
                names.update(dict.fromkeys(last))
        left = (name for name in names if name not in self.known or name in self.tables)
        return [name for name in left if kind_of(name) not in ("", CORRECTED, PERHAPS)]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().upper() if len(text) <= _LONGEST else text


def _causes(kind: str, cells: Sequence[str], explained: frozenset[str]) -> Iterator[tuple[int, str]]:
    if kind == STATE:
        yield from _unusual(cells, explained)
        return
    fine = _YES if kind == VALID else _NO
    for index, text in enumerate(cells):
        if text not in fine and not says_none(text):
            yield index, UNREAD


def _unusual(cells: Sequence[str], explained: frozenset[str]) -> Iterator[tuple[int, str]]:
    """A state that nobody explains: what most records say is usual, what few say is not taken for it."""
    counted = Counter(filter(None, cells))
    usual = max(counted, key=lambda text: counted[text], default="")
    if counted[usual] * 2 <= len(cells):
        usual = ""
    for index, text in enumerate(cells):
        if text and text not in explained and text != usual and not says_none(text):
            yield index, "a state that most records do not have, and the map cannot read it: a person has to look at it"


def named(records: Iterable[Any], known: frozenset[str]) -> list[Any]:
    """The nodes of a tree with such names as the map calls them."""
    return [_named(each, known) for each in records]


def _named(record: Any, known: frozenset[str]) -> Any:
    if not isinstance(record, Mapping):
        return record
    other = spelling(tuple(record), known)
    return {other.get(name, name): value for name, value in record.items()} if other else record
