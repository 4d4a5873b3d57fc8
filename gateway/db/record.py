"""What every room that asks the record's tables must agree on: the numbers of names, who survived a merge."""

from __future__ import annotations

import functools
import hashlib
import zlib

from gateway.db.engine import Reader

ZONE = "Asia/Shanghai"  # of times without an offset, in stored resources and in searches

REPLACED_BY = "SELECT survivor FROM resource WHERE type = 'Patient' AND id = ?"
MERGES = 16  # in a row are followed
INTO = "SELECT retired FROM person_merge WHERE survivor = ? ORDER BY retired"


@functools.cache
def parameter_number(type: str, name: str) -> int:
    """The number of a search parameter in the index tables: CRC-32 of 'Type.name' (a test shows that none collide); 63
    bits for those of contained resources ('MedicationRequest#medication:Medication'), which are many and rare."""
    text = f"{type}.{name}"
    return system_number(text) if "#" in type else zlib.crc32(text.encode())


@functools.lru_cache(maxsize=65_536)
def system_number(system: str) -> int:
    """The number of a code or identifier system in the index tables: 63 bits of BLAKE2b; 0 for none."""
    if not system:
        return 0
    return int.from_bytes(hashlib.blake2b(system.encode(), digest_size=8).digest(), "big") >> 1


@functools.lru_cache(maxsize=65_536)
def composite_number(type: str, name: str, system: str, code: str) -> int:
    """The number under which the second half of a composite parameter is indexed: 63 bits that stand for the parameter
    and the first half, a code in a system ('': in none)."""
    return system_number(f"{type}.{name}\0{system}\0{code}")


def survivor(reader: Reader, patient: str) -> str:
    """The id of the Patient that a (perhaps merged) patient lives on as; the same id where it was not merged."""
    for _ in range(MERGES):
        rows = reader.execute(REPLACED_BY, (patient,))
        if not rows or not rows[0][0]:
            break
        patient = str(rows[0][0])
    return patient


def tree(reader: Reader, patient: str) -> list[str]:
    """The ids of a Patient, the first, and of all that were merged into it, one through the other."""
    found = [patient]
    for each in found:
        found += [row[0] for row in reader.execute(INTO, (each,)) if row[0] not in found]
    return found
