"""What every room that asks the record's tables must agree on: the numbers of names, who survived a merge."""

from __future__ import annotations

import functools
import hashlib
import zlib

from gateway.db.engine import Reader

ZONE = "Asia/Shanghai"  # of times without an offset, in stored resources and in searches

# At most 16 merges in a row are followed.
SURVIVOR = (
    "WITH RECURSIVE chain (id, step) AS (SELECT ?, 0 UNION ALL "
    "SELECT r.survivor, step + 1 FROM chain JOIN resource r ON r.type = 'Patient' AND r.id = chain.id "
    "WHERE r.survivor IS NOT NULL AND step < 16) SELECT id FROM chain ORDER BY step DESC LIMIT 1"
)


@functools.cache
def parameter_number(type: str, name: str) -> int:
    """The number of a search parameter in the index tables: CRC-32 of 'Type.name' (a test shows that none collide)."""
    return zlib.crc32(f"{type}.{name}".encode())


@functools.lru_cache(maxsize=65_536)
def system_number(system: str) -> int:
    """The number of a code or identifier system in the index tables: 63 bits of BLAKE2b; 0 for none."""
    if not system:
        return 0
    return int.from_bytes(hashlib.blake2b(system.encode(), digest_size=8).digest(), "big") >> 1


def survivor(reader: Reader, patient: str) -> str:
    """The id of the Patient that a (perhaps merged) patient lives on as; the same id where it was not merged."""
    return str(reader.execute(SURVIVOR, (patient,))[0][0])
