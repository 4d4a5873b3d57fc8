"""What a Patient resource says of a person, in the words of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.codec.chinese_numbers import birth_date_of, national_id, phone, sex_of
from gateway.codec.person_names import is_newborn
from gateway.model import Resource

NATIONAL_SYSTEMS: Final = frozenset({"urn:oid:2.16.156.10011.1.3"})  # 居民身份证 (GB 11643)
_NATIONAL_TYPES: Final = frozenset({"NI", "NNCHN"})  # HL7 table 0203
_SECURITY: Final = "SS"  # the number of social security is that of the identity card (社会保障号码)
_NOT_OF_A_PERSON: Final = frozenset({"AN", "VN"})  # numbers of an account or a visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What one source says of a person; "" where it says nothing."""

    name: str = ""
    birth_date: str = ""  # YYYY-MM-DD, YYYYMMDD or the beginning of one
    sex: str = ""  # male, female, or something that is compared with nothing
    national_id: str = ""  # as written; compared only when valid
    numbers: frozenset[tuple[str, str]] = frozenset()  # (system, value): hospital numbers, cards; never of a visit
    former: frozenset[tuple[str, str]] = frozenset()  # numbers it had before: changed, or given to somebody else since
    phones: frozenset[str] = frozenset()  # as digits
    addresses: tuple[str, ...] = ()  # each whole, as written
    merged_ids: frozenset[str] = frozenset()  # valid identity cards of the Patients that live on as this one

    @property
    def valid_id(self) -> str:
        """The 18 characters of a valid identity card number, else ""."""
        return national_id(self.national_id)

    @property
    def own_ids(self) -> frozenset[str]:
        """The valid identity cards of this person; a newborn's record carries that of the mother."""
        own = "" if is_newborn(self.name) else self.valid_id
        return self.merged_ids | {own} if own else self.merged_ids

    @property
    def known_birth_date(self) -> str:
        """As stated, else as the identity card tells it."""
        return self.birth_date or birth_date_of(self.national_id)

    @property
    def known_sex(self) -> str:
        """As stated, else as the identity card tells it; "" for anything else than male and female."""
        return self.sex if self.sex in ("male", "female") else sex_of(self.national_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A Patient of the record that shares something with the arriving one."""

    patient_id: str
    person: Person


def person(patient: Resource) -> Person:
    """What a Patient resource says of a person."""
    national = ""
    numbers: set[tuple[str, str]] = set()
    former: set[tuple[str, str]] = set()
    for each in patient.get("identifier", ()):
        system, value = str(each.get("system", "")), str(each.get("value", ""))
        kinds = {coding.get("code") for coding in each.get("type", {}).get("coding", ())}
        if system in NATIONAL_SYSTEMS or kinds & _NATIONAL_TYPES or (_SECURITY in kinds and national_id(value)):
            national = national if national_id(national) else value
        elif value and not kinds & _NOT_OF_A_PERSON:
            (former if each.get("use") == "old" else numbers).add((system, value))
    return Person(
        name=_name(patient),
        birth_date=str(patient.get("birthDate", "")),
        sex=str(patient.get("gender", "")),
        national_id=national,
        numbers=frozenset(numbers),
        former=frozenset(former - numbers),
        phones=frozenset(filter(None, (phone(str(each.get("value", ""))) for each in patient.get("telecom", ())))),
        addresses=tuple(filter(None, (_address(each) for each in patient.get("address", ())))),
    )


def ever(versions: Sequence[Resource]) -> Person:
    """The first, with every telephone number and address that any of them tells."""
    told = [person(each) for each in versions]
    return replace(
        told[0],
        numbers=frozenset().union(*(each.numbers for each in told)) - told[0].former,
        phones=frozenset().union(*(each.phones for each in told)),
        addresses=tuple(dict.fromkeys(address for each in told for address in each.addresses)),
    )


def _name(patient: Resource) -> str:
    """The official name, else the first: as written, else family and given together."""
    names = sorted(patient.get("name", ()), key=lambda name: (name.get("use") != "official", name.get("use") == "old"))
    for name in names:
        whole = name.get("text") or f"{name.get('family', '')}{''.join(filter(None, name.get('given', ())))}"
        if whole:
            return str(whole)
    return ""


def _address(address: Resource) -> str:
    """As written, else its parts from the greatest to the smallest."""
    parts = (address.get("state"), address.get("city"), address.get("district"), *address.get("line", ()))
    return str(address.get("text") or "".join(str(each) for each in parts if each))
