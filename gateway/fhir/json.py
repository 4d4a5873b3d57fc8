"""JSON of FHIR resources, exact both ways: a decimal keeps its digits, `0.10` stays `0.10` (R4 json.html#decimal)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

from gateway import errors

MAXIMUM_DEPTH = 100
VALUES_LIMIT = 4_000_000  # of one body, told by the signs before them
_LARGE = 1 << 20  # bytes

_encoder = msgspec.json.Encoder(decimal_format="number")
content = _encoder.encode  # of what came as JSON: the same bytes as `dumps`, nothing is looked for
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_MOST = 308  # the largest power of ten of a number
_MAYBE_CONTROL = re.compile(rb"\\(?:u00[01]|[bf])")
_STRIDE, _MAYBE_LARGE = 50, re.compile(rb"[0-9]{6}")  # 300 digits in a row: every fiftieth byte, six times
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SHOWN = re.compile(r"\[\d+\]|[A-Za-z_]\w{0,63}", re.ASCII)  # names like those of FHIR; others are shown to nobody


def dumps(resource: Any, *, finite: bool = False) -> bytes:
    """Compact UTF-8; a Decimal is a JSON number with its digits. Permanent for what JSON cannot say: NaN. `finite`:
    all its numbers are known to be numbers, as in what maps make and what was checked; it is not looked for."""
    try:
        body = _encoder.encode(resource)
    except UnicodeEncodeError:
        raise errors.Permanent(
            "the text has half of a UTF-16 pair", place="JSON", remedy="mend the character set of the source"
        ) from None
    except (RecursionError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise errors.Permanent(
            f"the resource cannot be written as JSON ({type(error).__name__})", place="JSON"
        ) from None
    if finite:
        return body
    # A Decimal that is not a number is written as the bare words NaN and Infinity, which no reader takes.
    suspect = len(body) > _LARGE or b"NaN" in body or b"Infinity" in body  # long texts are not searched, objects are
    if suspect and _has_no_number(resource):
        raise errors.Permanent("a decimal is not a number", place="JSON", remedy="leave the element out")
    return body


def dumps_pretty(resource: Any, *, finite: bool = False) -> bytes:
    """The same, two spaces of indent, for people."""
    return msgspec.json.format(dumps(resource, finite=finite), indent=2)


def loads(body: bytes | str) -> Any:
    """Numbers with a fraction or exponent become Decimal, others int. Permanent for anything that is not JSON.

    Refused: NaN, Infinity, lone surrogates, bytes that are not UTF-8, a byte order mark, nesting over 100.
    """
    return _read(_decoder, body)


def _read(decoder: msgspec.json.Decoder[Any], body: bytes | str) -> Any:
    try:
        value = decoder.decode(body)
    except RecursionError:
        _too_deep()
    except UnicodeEncodeError:
        raise errors.Permanent("the text has half of a UTF-16 pair", place="JSON", remedy="send UTF-8") from None
    except ArithmeticError:
        raise errors.Permanent("a number is out of range", place="JSON", remedy="send one that is measured") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Permanent(f"not JSON: {_cause(error)}", place="JSON", remedy="send JSON in UTF-8") from None
    if _may_be_deep(body) and _depth_exceeds(value, MAXIMUM_DEPTH):
        _too_deep()
    return value


def received(body: bytes | str) -> Any:
    """`loads` for what others wrote. Permanent too for more values than the limit, which would fill the memory, and
    where an object has one name twice (R4 json.html: each is unique): a reader would take one of the two and lose the
    other in silence; for control characters (R4 datatypes.html#string) and numbers of a size that no program reads."""
    octets = body.encode() if isinstance(body, str) else body
    if len(octets) > VALUES_LIMIT and sum(map(octets.count, (b",", b"[", b"{"))) > VALUES_LIMIT:
        raise errors.Permanent(f"more than {VALUES_LIMIT} values", place="JSON", remedy="send it in parts")
    try:
        value = _read(_strict_decoder, octets)
    except _OutOfRangeError:
        value = loads(octets)
        _refuse(value, out_of_range, "a number is out of range", "send one that is measured")
    if b"\\" in octets and _MAYBE_CONTROL.search(octets):
        _refuse(value, _has_control, "a text has a control character", "mend it at the source")
    if _MAYBE_LARGE.search(octets[::_STRIDE]):
        _refuse(value, out_of_range, "a number is out of range", "send one that is measured")
    again = _encoder.encode(value)
    if again != octets and _may_have_lost(octets, again):
        for place in _doubled(json.loads(octets, object_pairs_hook=_Pairs), ""):
            raise errors.Permanent("one name twice in an object", place=place, remedy="send each name once")
    return value


class _OutOfRangeError(Exception):
    """A number has more or fewer powers of ten than a floating point number of 64 bits."""


def _decimal(digits: str) -> Decimal:
    number = Decimal(digits)
    if out_of_range(number):
        raise _OutOfRangeError
    return number


_strict_decoder = msgspec.json.Decoder(float_hook=_decimal)


def _has_control(value: Any) -> bool:
    return isinstance(value, str) and _CONTROL.search(value) is not None


def _refuse(value: Any, fits: Callable[[Any], bool], message: str, remedy: str) -> None:
    """Permanent, if any part of it fits."""
    for place in _places(value, "", fits):
        raise errors.Permanent(message, place=place, remedy=remedy)


def out_of_range(value: Any) -> bool:
    """Is it a number that a floating point number of 64 bits does not reach, large or small?"""
    if isinstance(value, Decimal):
        return bool(value) and not -_MOST <= value.adjusted() <= _MOST
    return isinstance(value, int) and abs(value) >= 10**_MOST


def _places(value: Any, path: str, fits: Callable[[Any], bool]) -> Iterator[str]:
    """The paths of what fits, names of members too."""
    if fits(value):
        yield path or "JSON"
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        shown = f"[{name}]" if isinstance(name, int) else name if _SHOWN.fullmatch(name) else "?"
        here = f"{path}.{shown}" if path and shown[0] != "[" else f"{path}{shown}"
        if isinstance(name, str) and fits(name):
            yield here
        yield from _places(inner, here, fits)


def _may_have_lost(octets: bytes, again: bytes) -> bool:
    """A name that is lost takes its quotes along; a quote that was written as \\u0022 hides that."""
    return octets.count(b'"') != again.count(b'"') or b"\\u0022" in octets


class _Pairs(list[tuple[str, Any]]):
    """An object with all that it says."""


def _doubled(value: Any, path: str) -> Iterator[str]:
    """The paths of names that stand twice."""
    if not isinstance(value, list):
        return
    met: set[str] = set()
    for index, each in enumerate(value):
        name, inner = each if isinstance(value, _Pairs) else (f"[{index}]", each)
        shown = name if _SHOWN.fullmatch(name) else "?"
        here = f"{path}.{shown}" if path and shown[:1] != "[" else f"{path}{shown}"
        if isinstance(value, _Pairs) and name in met:
            yield here
        met.add(name)
        yield from _doubled(inner, here)


def _too_deep() -> NoReturn:
    raise errors.Permanent(f"nested over {MAXIMUM_DEPTH} levels", place="JSON", remedy="send a flatter resource")


def _cause(error: Exception) -> str:
    # The messages of msgspec name a place, never a value; those of the UTF-8 reader show bytes.
    return "the bytes are not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _may_be_deep(body: bytes | str) -> bool:
    """False when the brackets show that it is flat: peels the innermost pairs, at least one level a pass."""
    octets = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    skeleton = octets.translate(None, _NOT_BRACKETS)
    for _ in range(MAXIMUM_DEPTH // 2):  # one pass may peel two levels
        if not skeleton:
            return False
        skeleton = skeleton.replace(b"{}", b"").replace(b"[]", b"")
    return True  # deep, or brackets inside text: look exactly


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for each in level for child in _inner(each)]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _has_no_number(value: Any) -> bool:
    if isinstance(value, Decimal):
        return not value.is_finite()
    return any(_has_no_number(each) for each in _inner(value))
