"""Long runs of base64 are set aside before bytes become text, and put back into their fields afterwards.

A scanned report of 50 MB is one run without a separator. To decode, search and split it with the rest would copy it
five times, with two bytes a character where the message has Chinese. Only what is plainly base64 is set aside, without
its first and last characters, so charset, separators and segments are judged by the same bytes as ever.
"""

from __future__ import annotations

from typing import Final

LARGE: Final = 1 << 20  # bytes of a message from which on it is worth looking
_PIECE: Final = 1 << 16
_LEFT: Final = 64  # characters at both ends of a run that stay where they are
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_MARK: Final = "HutongSetAside"

Runs = dict[str, memoryview]


def set_aside(body: bytes) -> tuple[bytes, Runs]:
    """(the message with a mark in the place of each run, the runs by their marks)."""
    if _MARK.encode() in body or b"\x1b" in body[:4096]:  # ISO 2022 writes two-byte characters with letters
        return body, {}
    view = memoryview(body)
    kept: list[memoryview | bytes] = []
    runs: Runs = {}
    end = 0
    for start, stop in _found(body):
        mark = f"{_MARK}{len(runs):08d}Z"
        runs[mark] = view[start:stop]
        kept += (view[end:start], mark.encode())
        end = stop
    return (b"".join((*kept, view[end:])), runs) if runs else (body, runs)


def _found(body: bytes) -> list[tuple[int, int]]:
    """Where runs begin and end: neighbouring pieces that hold nothing but base64."""
    found: list[tuple[int, int]] = []
    for start in range(0, len(body) - _PIECE + 1, _PIECE):
        if not body[start : start + _PIECE].translate(None, _ALPHABET):
            if found and found[-1][1] == start:
                found[-1] = found[-1][0], start + _PIECE
            else:
                found.append((start, start + _PIECE))
    return [(start + _LEFT, stop - _LEFT) for start, stop in found]


def put_back(segments: list[list[str]], runs: Runs) -> None:
    """The runs into the fields that hold their marks."""
    for segment in segments:
        for number, field in enumerate(segment):
            if len(field) > len(_MARK) and _MARK in field:
                segment[number] = _whole(field, runs)


def _whole(field: str, runs: Runs) -> str:
    parts = []
    while _MARK in field:
        before, _, rest = field.partition(_MARK)
        mark, field = _MARK + rest[:9], rest[9:]
        parts += [before, str(runs[mark], "ascii") if mark in runs else mark]
    return "".join((*parts, field))
