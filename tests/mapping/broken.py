"""Ways to break a message: what lines, hands and other people's programs do to it on its way."""

from __future__ import annotations

import random
from collections.abc import Callable

SEPARATORS = b"|^~\\&\r\n"
ODD = (  # texts that no field expects
    "0", "-1", "1e400", "9" * 400, "１２", "٣", "NaN", "Infinity", "-0", ".5", "5.", "1,5", "1e-7", "+5",
    "00000000", "20260230", "20269999999999", "2026010124", "20260101240000", "20260101000060", "2026010100-2400",
    "202601010000.123456789+9999", '""', "\\X\\", "\\XZZ\\", "\\XFFFF\\", "\\C2842\\", "\\.sp9999\\", "\\H\\", "\\",
    "\u3000", "\x00", "\x0b", "\U0010ffff", "Y" * 70_000, "http://", "urn:uuid:x y", " ", "\t", "^", "&", "~",
    "^" * 22, "&&&&", "~~~~",
)  # fmt: skip
Break = Callable[[bytes, random.Random], bytes]


def lines(body: bytes) -> list[bytes]:
    """The segments."""
    return body.replace(b"\r\n", b"\r").replace(b"\n", b"\r").split(b"\r")


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _bytes_changed(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.choice((*SEPARATORS, chance.randrange(256)))
    return bytes(changed)


def _segment_lost(body: bytes, chance: random.Random) -> bytes:
    found = lines(body)
    del found[chance.randrange(len(found))]
    return b"\r".join(found)


def _segment_twice(body: bytes, chance: random.Random) -> bytes:
    found = lines(body)
    found.insert(chance.randrange(len(found) + 1), chance.choice(found))
    return b"\r".join(found)


def _shuffled(body: bytes, chance: random.Random) -> bytes:
    first, *rest = lines(body)
    chance.shuffle(rest)
    return b"\r".join((first, *rest))


def _another_charset(body: bytes, chance: random.Random) -> bytes:
    text = body.decode("utf-8", "ignore")
    return text.encode(chance.choice(("gb18030", "utf-16", "utf-16-le", "latin-1", "big5")), "replace")


def _repeated(body: bytes, chance: random.Random) -> bytes:
    def change(fields: list[bytes], place: int) -> None:
        separator = chance.choice((b"~", b"^", b"&"))
        fields[place] = separator.join([fields[place]] * chance.choice((2, 3, 50, 2000)))

    return _with_fields(body, chance, change)


def _elsewhere(body: bytes, chance: random.Random) -> bytes:
    """Fields stand in the place of others, of other segments too."""
    every = [field for line in lines(body) for field in line.split(b"|")]
    for _ in range(chance.randint(1, 10)):
        body = _with_fields(body, chance, lambda fields, place: fields.__setitem__(place, chance.choice(every)))
    return body


def _odd(body: bytes, chance: random.Random) -> bytes:
    def change(fields: list[bytes], place: int) -> None:
        parts = fields[place].split(b"^")
        parts[chance.randrange(len(parts))] = chance.choice(ODD).encode()
        fields[place] = b"^".join(parts)

    for _ in range(chance.randint(1, 6)):
        body = _with_fields(body, chance, change)
    return body


def _with_fields(body: bytes, chance: random.Random, change: Callable[[list[bytes], int], None]) -> bytes:
    found = lines(body)
    number = chance.randrange(len(found))
    fields = found[number].split(b"|")
    place = chance.randrange(len(fields))
    if number or place > 1:  # the separators of MSH stay
        change(fields, place)
    found[number] = b"|".join(fields)
    return b"\r".join(found)


WAYS: tuple[Break, ...] = (
    _cut, _bytes_changed, _segment_lost, _segment_twice, _shuffled, _another_charset, _repeated, _elsewhere, _odd,
)  # fmt: skip


def broken(body: bytes, chance: random.Random) -> bytes:
    """The message after one to three misfortunes."""
    for way in chance.choices(WAYS, k=chance.choice((1, 1, 2, 3))):
        body = way(body, chance) or b"MSH"
    return body
