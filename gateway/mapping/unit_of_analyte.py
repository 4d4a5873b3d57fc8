"""`G/L`, which is 10⁹ cells a litre, or grams a litre in capitals: what was measured tells which of them is meant."""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.mapping.datatypes.units import EITHER, UCUM
from gateway.model import Resource

UNSURE: Final = "G/L may be grams or 10⁹ a litre, and what was measured does not tell: the unit was kept without a code"
_WEIGHED: Final = re.compile(  # the haemoglobin of red cells, too
    r"蛋白|纤维|补体|血糖|葡萄糖|血脂|\b(?:HGB|HB|HA?EMOGLOBIN|MCHC|ALB|ALBUMIN|TP|GLO|GLB|PA|FIB|FBG|IG[GAM]|CRP|PROTEIN)\b",
    re.IGNORECASE,
)
_COUNTED: Final = re.compile(
    r"细胞|血小板|\b(?:WBC|RBC|PLT|NEUT?|LYM?|LYMPH|MONO?|MO|EOS?|BASO?|BA|GRAN|GR|RET|LEUKOCYTES|PLATELETS)\b",
    re.IGNORECASE,
)


def settle(observation: Resource) -> bool:
    """Gives the quantities of an Observation in `G/L` the UCUM code of what it measures; none where nothing tells it,
    and then False. The quantities themselves may be those of others, too, and are not touched."""
    value: Any = observation.get("valueQuantity")
    if value is not None and not _is_either(value):  # nearly all: the ends of its ranges are in its unit
        return True
    ranges = observation.get("referenceRange", ())
    ends = [each for limits in ranges for each in (limits.get("low"), limits.get("high"))]
    if not any(map(_is_either, (value, *ends))):
        return True
    code = _code(observation)
    if not code:
        return False
    if _is_either(value):
        observation["valueQuantity"] = {**value, "system": UCUM, "code": code}
    if any(map(_is_either, ends)):
        observation["referenceRange"] = [
            {
                name: {**each, "system": UCUM, "code": code} if _is_either(each) else each
                for name, each in limits.items()
            }
            for limits in ranges
        ]
    return True


def _is_either(value: Any) -> bool:
    return isinstance(value, dict) and value.get("unit") == EITHER and "code" not in value


def _code(observation: Resource) -> str:
    concept = observation.get("code", {})
    told = [concept.get("text", ""), *(each.get("valueString", "") for each in observation.get("extension", ()))]
    told += [each.get(name, "") for each in concept.get("coding", ()) for name in ("display", "code")]
    text = "\n".join(told)
    return "g/L" if _WEIGHED.search(text) else "10*9/L" if _COUNTED.search(text) else ""
