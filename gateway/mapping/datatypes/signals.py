"""Words in remarks that take a row back or correct it (china.md §2.8: 作废, 撤销 → never ignored).

A remark that is such a word is one, however it is dressed: `（已作废）`, `该结果作废`; so is `【作废】` before other
words. One that speaks of it otherwise (`原报告作废，以此为准`) may mean this row or another one: nobody guesses, the
row waits for a person.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from gateway.codec.character_forms import simplified
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.clocks import says_none
from gateway.mapping.datatypes.exports import cell_back, cell_into

UNCLEAR: Final = "?"
_SAID: Final = "是"
_LONGEST: Final = 60  # characters of a remark that is one word, dressed
_TAKEN_BACK: Final = "作废|废弃|撤销|撤回|删除|召回|退号"
_CHANGED: Final = "取消|更正|修改|修正|修订|初步"
_OF: Final = "结果|报告单|报告|标本|检验|检查|化验|记录|数据|申请单|申请|医嘱|项目|就诊|挂号|行|单"
_DRESSED: Final = re.compile(
    rf"[\[(<【「*#!※]*(?:[该此本](?:条|次|份|项|行|张)?)?(?:{_OF})?(?:现|被)?(?:已经|予以|已)?"
    rf"(?P<word>{_TAKEN_BACK}|{_CHANGED})(?:了|处理)?(?:{_OF})?[\])>】」*#!。.;,、\s]*"
)
_TAG: Final = re.compile(rf"【(?P<word>{_TAKEN_BACK}|{_CHANGED})】")
_SPOKEN_OF: Final = re.compile(rf"(?<![未不非无])(?:{_TAKEN_BACK})")


def signal_of(raw: str) -> str:
    """The word alone; "" for a remark that says nothing of it, UNCLEAR where only a person can tell."""
    text = simplified(raw)
    if tag := _TAG.match(text):
        return tag["word"]
    if len(raw) <= _LONGEST and (found := _DRESSED.fullmatch(unicodedata.normalize("NFKC", text).replace(" ", ""))):
        return found["word"]
    return UNCLEAR if _SPOKEN_OF.search(text) else ""


def signals(pair: Pair) -> Pair:
    """A remark through the table of such words; any other remark says nothing here."""

    def into(raw: str, context: Context) -> Any:
        word = signal_of(raw)
        if word == UNCLEAR:
            cause = "its remark speaks of something that was taken back: only a person can tell what"
            context.unread.refuse(cause)
        return pair.into(word, context) if word not in ("", UNCLEAR) else None

    return Pair(into, pair.back, fits=pair.fits, joins=_marked)


def _marked(remark: str, word: str) -> str:
    """A remark with the word before it, where it does not say that itself."""
    return remark if signal_of(remark) == word else f"【{word}】{remark}"


def remarks_into(raw: str, context: Context) -> str | None:
    """A remark without the word before it."""
    return cell_into(_TAG.sub("", raw, count=1) or raw, context)


def said(pair: Pair) -> Pair:
    """A cell that is empty as long as all is well (作废时间, 撤销人): the table is told that anything stands there."""

    def into(raw: str, context: Context) -> Any:
        return None if says_none(raw) else pair.into(_SAID, context)

    return Pair(into, pair.back, fits=pair.fits)


PAIRS = {"remarks": Pair(remarks_into, cell_back, fits=("string", "markdown"), joins="{}；{}".format)}
WORDS: Final = {"signal": signals, "said": said}
