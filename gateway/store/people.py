"""Other ways to type the name of a person: pinyin, initials, the given name alone (R4 leaves `name` to the server).

Chinese names stand in one piece, so that 伟明 and 明 are looked for in 张伟明 too, and both by keyboard; so is
吐尔逊 in 买买提·吐尔逊, although its normal form has no dot.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from gateway.codec.pinyin import Spelling, spelled, typed
from gateway.fhir.normal import normal
from gateway.store.columns import real

_TYPES: Final = frozenset({"Patient", "Person", "Practitioner", "RelatedPerson"})
_NAMES: Final = frozenset({"name", "phonetic", "family", "given"})
_APART: Final = re.compile(r"[\s.·•・‧∙⋅●○､．]+")
_ALONE: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]{2,4}")  # family and given name


def is_name(type: str, name: str) -> bool:
    """Whether the parameter is about the names of people."""
    return name in _NAMES and real(type) in _TYPES


@functools.lru_cache(maxsize=16_384)
def typed_forms(name: str, value: str, written: str) -> frozenset[str]:
    """How a value of the parameter (in normal form, and as it is written) may be typed otherwise; none is the value
    itself."""
    found = _forms(spelled(value, surname=name != "given"))
    if name in ("name", "phonetic"):
        for tail in _tails(value, written):
            found |= {tail} | _forms(spelled(tail, surname=False))
    return frozenset(found)


def _tails(value: str, written: str) -> list[str]:
    """What follows the family name, or another part of the name, in normal form."""
    if _ALONE.fullmatch(value) and not _APART.search(written.strip()):
        return [value[start:] for start in range(1, len(value))]
    parts = _APART.split(written.strip())
    return list(filter(None, (normal("".join(parts[start:])) for start in range(1, len(parts)))))


def _forms(spelling: Spelling) -> set[str]:
    """Initials that only begin a full form say nothing more."""
    full = set(spelling.full)
    return full | {each for each in spelling.initials if not any(form.startswith(each) for form in full)}


def asked_forms(value: str) -> tuple[str, ...]:
    """What to look for among the typed forms for what somebody typed."""
    return tuple(dict.fromkeys(form for form in (normal(value), typed(value)) if form))
