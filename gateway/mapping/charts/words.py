"""What Chinese systems call the codes of R4: a supplement to each code system, with the words that the tables write.

The words are those that stand both ways in a table of no file in particular (`男=male`), and the names of national
lists whose codes mean the same. R4 codesystem.html#supplements; they make `displayLanguage=zh` answer in Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gateway.mapping.charts.published import Published
from gateway.mapping.charts.tables import PUBLISHER, key, named, target_of
from gateway.mapping.charts.uses import Use
from gateway.mapping.syntax import CodeTable
from gateway.model import Resource

_WORD = re.compile("[\u3400-\u9fff]+")
_GENERAL = ("local-sex", "local-visit", "local-urgent", "local-finding")  # their words mean the same in every file

Words = dict[str, dict[str, list[str]]]  # system → code → words


def charted(tables: Mapping[str, CodeTable], uses: Mapping[str, Use], published: Published) -> Iterator[Resource]:
    """One supplement for each code system of R4 that a table has Chinese words for."""
    found: Words = {}
    for name in (*filter(tables.__contains__, _GENERAL), *(name for name in sorted(tables) if uses[name].of)):
        use = uses[name]
        pairs = _of_list(tables[use.of], tables[name]) if use.of else tables[name].back.items()
        for code, word in pairs:
            system = target_of(code, use, published)[0]
            if system in published and _WORD.fullmatch(word):
                listed = found.setdefault(system, {}).setdefault(code, [])
                if word not in listed:
                    listed.append(word)
    for system, codes in sorted(found.items()):
        yield _supplement(system, codes)


def _of_list(names: CodeTable, meanings: CodeTable) -> Iterator[tuple[str, str]]:
    """What a list calls the codes whose meaning a second table tells: 10=未婚 and 10>S make S 未婚. Of several codes of
    one meaning the first is the most general."""
    called = {code: name for name, code in names.back.items()}
    seen: set[str] = set()
    for code, meaning in meanings.into.items():
        if meaning not in seen and code in called:
            seen.add(meaning)
            yield meaning, called[code]


def _supplement(system: str, codes: Mapping[str, list[str]]) -> Resource:
    short = re.split(r"[:/]", system)[-1]
    return {
        "resourceType": "CodeSystem",
        "id": key("words", short),
        "url": f"urn:hutong:words:{short}",
        "name": named("words", short),
        "title": f"Chinese words for codes of {short}",
        "status": "active",
        "publisher": PUBLISHER,
        "content": "supplement",
        "supplements": system,
        "concept": [
            {"code": code, "designation": [{"language": "zh-CN", "value": word} for word in words]}
            for code, words in codes.items()
        ],
    }
