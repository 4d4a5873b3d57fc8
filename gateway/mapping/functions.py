"""The functions of the blocks, forward: each is compiled when it is first run, once for all message structures in which
its lines say the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from gateway.mapping import memory, runtime, same_number, standing, wording
from gateway.mapping.context import Context, Entry
from gateway.mapping.emit import BlockEmitter
from gateway.mapping.library import Library
from gateway.mapping.outline import Known
from gateway.mapping.source_code import Writer
from gateway.mapping.structure import Segment
from gateway.mapping.syntax import Block

Near = dict[str, Segment]  # the first segment of each name, here and around
BlockFunction = Callable[[Any, Near, Context, dict[str, Entry], Any], "Entry | None"]

_CALLED = (
    "component", "first", "said", "cell_said", "chosen", "complete", "further", "repeated", "node", "link", "link_each",
    "refer", "followed", "reference_to", "reference_shown", "halves_left_out", "trace", "stands_behind", "NULL",
    "ABSENT",
)  # fmt: skip
_SPACE: dict[str, Any] = {
    **{name: getattr(runtime, name) for name in _CALLED},
    "learned": memory.learned,
    "referred": memory.referred,
    "UNMADE": memory.UNMADE,
    "kept": wording.kept,
    "kept_beside": wording.beside,
    "by_one": standing.by_one,
    "EMPTY": {},
}


class Reading(NamedTuple):
    """What the function of a block depends on besides the block."""

    block: int  # its identity
    source: str  # segments, row or node
    settled: tuple[bool | None, ...]  # what the condition of each line comes to in this structure
    once: bool
    parting: same_number.Parting | None  # what tells two of one number apart


class Functions:
    """Those of one library. `explain`: they trace where each element comes from."""

    def __init__(self, library: Library, *, explain: bool = False) -> None:
        self.library = library
        self.explain = explain
        self._made: dict[Reading, BlockFunction] = {}

    def of(
        self, block: Block, *, source: str, once: tuple[str, ...], structure: str = ""
    ) -> Callable[[], BlockFunction]:
        """What answers the function of a block in this message structure, or in an export."""
        return partial(self._function, block, self._reading(block, source, once, structure))

    def special(self, block: Block, known: Known, *, once: tuple[str, ...], structure: str) -> BlockFunction:
        """The function of a block for messages of which that is known."""
        return self._compiled(block, self._reading(block, "segments", once, structure), known)

    def _reading(self, block: Block, source: str, once: tuple[str, ...], structure: str) -> Reading:
        settled = tuple(
            [runtime.settled(line.condition, structure) if line.condition else None for line in block.lines]
        )
        single = block.once or block.type in once
        parting = same_number.parting(block, self.library.blocks, structure)
        return Reading(id(block), source, settled, single, parting)

    def _function(self, block: Block, reading: Reading) -> BlockFunction:
        found = self._made.get(reading)
        if found is None:
            found = self._made[reading] = self._compiled(block, reading)
        return found

    def _compiled(self, block: Block, reading: Reading, known: Known | None = None) -> BlockFunction:
        writer = Writer({})
        lines = tuple(
            replace(line, condition=None) if applies else line
            for line, applies in zip(block.lines, reading.settled, strict=True)
            if applies is not False
        )
        emitter = BlockEmitter(
            replace(block, lines=lines), self.library, writer, source=reading.source, explain=self.explain,
            once=reading.once, parting=reading.parting, known=known,
        )  # fmt: skip
        emitter.emit("block")
        space = {**_SPACE, **writer.objects}
        exec(compile("\n".join(writer.lines), f"<map {block.place}>", "exec"), space)  # noqa: S102 - made from checked maps only
        made: BlockFunction = space["block"]
        return made
