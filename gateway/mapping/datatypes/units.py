"""Units as Chinese and other laboratories write them → UCUM codes (ucum.org); the unit as written is always kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

UCUM = "http://unitsofmeasure.org"
MDC = "urn:iso:std:iso:11073:10101"  # the nomenclature of medical devices (IHE PCD TF-2 §B.8)
EITHER = "G/L"  # 10*9/L, or g/L in capitals
EXPLICIT = "\x1f"  # between code and name of a unit whose UCUM code the sender gave; no text holds this character
_SPELLED = {
    "个/hp": "/[HPF]", "/hp": "/[HPF]", "/hpf": "/[HPF]", "个/lp": "/[LPF]", "/lp": "/[LPF]", "/lpf": "/[LPF]",
    "g/l": "g/L", "mg/l": "mg/L", "ug/l": "ug/L", "ng/l": "ng/L", "g/dl": "g/dL", "mg/dl": "mg/dL", "ug/dl": "ug/dL",
    "ng/dl": "ng/dL", "ng/ml": "ng/mL", "pg/ml": "pg/mL", "ug/ml": "ug/mL", "mg/ml": "mg/mL", "mol/l": "mol/L",
    "mmol/l": "mmol/L", "umol/l": "umol/L", "nmol/l": "nmol/L", "pmol/l": "pmol/L", "meq/l": "meq/L", "u/l": "U/L",
    "iu/l": "[IU]/L", "u/ml": "U/mL", "iu/ml": "[IU]/mL", "miu/l": "m[IU]/L", "miu/ml": "m[IU]/mL",
    "uiu/ml": "u[IU]/mL", "mu/l": "mU/L", "ku/l": "kU/L", "10^9/l": "10*9/L", "10^12/l": "10*12/L",
    "10^6/l": "10*6/L", "10^3/ul": "10*3/uL", "10^6/ul": "10*6/uL", "10^9/ml": "10*9/mL", "g/l(9)": "10*9/L",
    "k/ul": "10*3/uL", "m/ul": "10*6/uL", "/ul": "/uL", "cells/ul": "/uL", "个/ul": "/uL", "/ml": "/mL",
    "copies/ml": "{copies}/mL", "iu": "[IU]", "%": "%", "fl": "fL", "pg": "pg", "s": "s", "sec": "s", "秒": "s",
    "min": "min", "h": "h", "mm/h": "mm/h", "mm/hr": "mm/h", "mmhg": "mm[Hg]", "kpa": "kPa", "cm": "cm", "mm": "mm",
    "m": "m", "kg": "kg", "g": "g", "mg": "mg", "ug": "ug", "l": "L", "ml": "mL", "ul": "uL", "次/分": "/min",
    "/min": "/min", "bpm": "/min", "℃": "Cel", "°c": "Cel", "cel": "Cel", "kg/m2": "kg/m2", "ml/min": "mL/min",
    "ml/min/1.73m2": "mL/min/{1.73_m2}", "mosm/kg": "mosm/kg", "mosm/l": "mosm/L", "mmol/mol": "mmol/mol",
    "mg/g": "mg/g", "g/24h": "g/(24.h)", "mg/24h": "mg/(24.h)", "ratio": "{ratio}", "inr": "{INR}",
    "s/co": "{s_co_ratio}", "coi": "{COI}", "mm[hg]": "mm[Hg]", "[iu]/l": "[IU]/L",
}  # fmt: skip
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_POWER = re.compile(r"^[x×*]?10(?:\^|\*|\*\*|e)?(\d{1,2})/")


def known() -> frozenset[str]:
    """The UCUM codes of all units that are known."""
    return frozenset(_SPELLED.values())


@lru_cache(maxsize=2048)
def ucum(unit: str) -> str:
    """The UCUM code of a unit as written, or "" when it is not known; of `G/L` what is measured tells it
    (unit_of_analyte.py)."""
    text = unit.strip().translate(_SUPERSCRIPT)
    if text == EITHER:
        return ""
    if text == "T/L":
        return "10*12/L"
    text = unicodedata.normalize("NFKC", text).replace("μ", "u").replace("µ", "u").replace(" ", "").casefold()
    text = _POWER.sub(lambda found: f"10^{found[1]}/", text)
    return _SPELLED.get(text, "")


@lru_cache(maxsize=4096)
def members(unit: str) -> Mapping[str, str]:
    """The members of a Quantity that tell its unit, as unit_text() (values.py) left it."""
    code, _, named = unit.partition(EXPLICIT)
    if named:
        name, _, system = named.partition(EXPLICIT)
        return {"unit": name, "system": system or UCUM, "code": code}
    code = ucum(unit)
    return {"unit": unit, "system": UCUM, "code": code} if code else {"unit": unit} if unit else {}
