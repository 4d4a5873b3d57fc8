"""The primitive types: which JSON values and which texts are valid (R4 datatypes.html#primitive).

One table serves both readers, so that they cannot disagree: the compiled structs (structs.py) and the reader that
lists every problem (problems.py). Dates are checked against the real calendar inside the pattern: 31 February fails.
"""

from __future__ import annotations

from dataclasses import dataclass

_MONTH_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP_DAY = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
_DAY = f"(?!0000)(?:[0-9]{{4}}-{_MONTH_DAY}|{_LEAP_DAY})"
_MONTH = "(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2]))?"
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"


@dataclass(frozen=True, slots=True)
class Primitive:
    """How one primitive is written in JSON."""

    json: type  # str, bool, int, float (any JSON number)
    pattern: str = ""  # the whole text matches
    least: int | None = None
    most: int | None = None
    wanted: str = ""  # for people


_TEXT = Primitive(json=str, wanted="text that is not empty")
_ADDRESS = Primitive(json=str, pattern=r"\A\S+\Z", wanted="an address without blanks")

PRIMITIVES: dict[str, Primitive] = {
    "string": _TEXT,
    "markdown": _TEXT,
    "uri": _ADDRESS,
    "url": _ADDRESS,
    "canonical": _ADDRESS,
    "boolean": Primitive(json=bool, wanted="true or false"),
    "integer": Primitive(json=int, least=-(2**31), most=2**31 - 1, wanted="a whole number of 32 bits"),
    "unsignedInt": Primitive(json=int, least=0, most=2**31 - 1, wanted="a whole number from 0"),
    "positiveInt": Primitive(json=int, least=1, most=2**31 - 1, wanted="a whole number from 1"),
    "decimal": Primitive(json=float, wanted="a number"),
    "id": Primitive(json=str, pattern=r"\A[A-Za-z0-9\-.]{1,64}\Z", wanted="1 to 64 letters, digits, - or ."),
    "code": Primitive(json=str, pattern=r"\A\S+(?:\s\S+)*\Z", wanted="a code without blanks around it"),
    "oid": Primitive(json=str, pattern=r"\Aurn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+\Z", wanted="urn:oid:1.2.3"),
    "uuid": Primitive(
        json=str,
        pattern=r"\Aurn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z",
        wanted="urn:uuid: and 36 characters in lower case",
    ),
    "date": Primitive(json=str, pattern=f"\\A(?:{_DAY}|{_MONTH})\\Z", wanted="a date of the calendar: YYYY-MM-DD"),
    "dateTime": Primitive(
        json=str,
        pattern=f"\\A(?:{_DAY}(?:T{_TIME}{_ZONE})?|{_MONTH})\\Z",
        wanted="a date, or YYYY-MM-DDThh:mm:ss with an offset such as +08:00",
    ),
    "instant": Primitive(
        json=str, pattern=f"\\A{_DAY}T{_TIME}{_ZONE}\\Z", wanted="YYYY-MM-DDThh:mm:ss with an offset such as +08:00"
    ),
    "time": Primitive(json=str, pattern=f"\\A{_TIME}\\Z", wanted="hh:mm:ss"),
    "base64Binary": Primitive(json=str, pattern=r"\A[0-9A-Za-z+/\s]+={0,2}\s*\Z", wanted="base64"),
    "xhtml": Primitive(json=str, pattern=r"\A\s*<div[\s>](?s:.*)</div>\s*\Z", wanted="XHTML inside one <div>"),
}
