"""Compiled maps, forward: a placed message, a table or a tree → the resources of a Bundle.

Each block becomes one Python function (emit.py, functions.py); a structure becomes one walk over the tree of groups
that calls them: the blocks of a group, then the groups inside it, then the links to everything that was made there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.fhir import definitions
from gateway.mapping import paths, patients, runtime, standing
from gateway.mapping.context import Context, Entry
from gateway.mapping.functions import BlockFunction, Functions, Near
from gateway.mapping.library import Library
from gateway.mapping.outline import Known, Outline
from gateway.mapping.plans import Plan, Plans
from gateway.mapping.source_code import SourceCode, Writer, fields_of
from gateway.mapping.structure import Instance, Layout, Segment
from gateway.mapping.syntax import WHOLE, Block, Condition, Line, Structure
from gateway.mapping.target_code import constants_of, steps_of

Made = dict[str, list[Entry]]  # by type, in order
Head = dict[tuple[int, int], "Entry | None"]  # by block and segment


@dataclass(frozen=True, slots=True)
class ListLink:
    """`result* = @@Observation`: set when everything below has been made."""

    type: str
    steps: tuple[tuple[str, bool], ...]
    constants: dict[str, Any] | None  # of the list element that each reference gets; None: the references are the list
    condition: Condition | None
    everywhere: bool = False
    demanded: str = ""  # the element, where R4 demands it of the resource
    parted: str = ""  # the list from which these are taken out
    element: str = ""  # not they are meant, but what they say there …
    table: Mapping[str, str] | None = None  # … together, through this table

    def set(self, entry: Entry, made: Made, context: Context) -> None:
        """Where its condition can hold."""
        if self.condition is None or runtime.possible(self.condition, context):
            self.apply(entry, made, context)

    def apply(self, entry: Entry, made: Made, context: Context) -> None:
        """Links an entry to what was made."""
        found = [each for each in dict.fromkeys(made.get(self.type, ())) if each is not entry]
        if self.parted:
            entry.parts = [*entry.parts, *((self.parted, each.full_url) for each in found)]
            return
        if not found:
            if self.demanded and self.demanded not in entry.resource:
                context.leave(entry, self.demanded)
            return
        if self.table is not None:
            said = (each.resource.get(self.element) for each in found)
            back = standing.by_all(entry.resource, self.steps[-1][0], said, self.table)
            entry.together = entry.together or (back and entry.resource["resourceType"] == "DiagnosticReport")
        elif self.constants is None:
            runtime.link(entry.resource, self.steps, found)
        else:
            runtime.link_each(entry.resource, self.steps, found, self.constants)


@dataclass(frozen=True, slots=True)
class CompiledBlock:
    """A block ready to run."""

    block: Block
    make: Callable[[], BlockFunction]
    links: tuple[ListLink, ...]
    repeated: str  # the segment that this block runs for each of; "" = once in its group
    apart: bool  # it points at another one of its own type (the retired patient of a merge): not what others mean
    only: str = ""  # the one segment without which it makes nothing; "" where several may do
    beside: bool = False  # another block of the group makes something of the same segments
    head: bool = False  # it reads what stands before the patients of a message alone

    @property
    def function(self) -> BlockFunction:
        """Compiled when it is first asked for."""
        return self.make()

    def links_with(self, facts: Mapping[str, str]) -> tuple[ListLink, ...]:
        """The links that a message of these facts may have."""
        return tuple(
            each for each in self.links if each.condition is None or runtime.possible_with(each.condition, facts)
        )


def compiled_block(
    library: Library, block: Block, make: Callable[[], BlockFunction], repeated: str = "", structure: str = ""
) -> CompiledBlock:
    links = [line.link for line in block.lines if line.link]
    apart = not block.element and any(not link.every and link.type == block.type for link in links)
    only = block.segments[0] if len(block.segments) == 1 else ""
    return CompiledBlock(block, make, _list_links(library, block, structure), repeated, apart, only)


def _list_links(library: Library, block: Block, structure: str) -> tuple[ListLink, ...]:
    made = []
    for line in block.lines:
        applies = line.condition is None or runtime.settled(line.condition, structure)
        if line.into and line.link is not None and applies is not False and line.link.type != WHOLE:
            path = paths.resolve(block.path, line, library.systems)
            if not (line.link.every or _grows(block, line, path)):
                continue
            first = "" if block.element else line.target[0].name
            demanded = first if first and definitions.resolve(f"{block.type}.{first}").min else ""
            condition = None if applies else line.condition
            link = line.link
            parted = f"{block.type}.{path.elements[0].name}" if link.parts else ""
            table = library.codes[line.codes].into if line.codes else None
            made.append(
                ListLink(
                    link.type, steps_of(path), constants_of(path), condition, link.everywhere,
                    "" if table is not None else demanded, parted, link.element, table,
                )
            )  # fmt: skip
    return tuple(made)


def _grows(block: Block, line: Line, path: paths.Path) -> bool:
    """Does each row add to a list of what all rows of one number tell: the orders that share a tube?"""
    own = line.link is None or line.link.type == block.type or line.link.element or line.link.parts
    return bool(block.rows_by and path.leaf.many and line.condition is None) and not own


class StructureMap:
    """One message structure, compiled."""

    def __init__(self, structure: Structure, functions: Functions) -> None:
        library, explain = functions.library, functions.explain
        self.structure = structure
        self.functions = functions
        self.layout = Layout(structure.root)
        blocks = [block for block in library.blocks_of(structure.name) if block.into]
        self.widths = {} if explain else _widths(blocks)
        self.groups: list[list[CompiledBlock]] = [[] for _ in self.layout.parents]
        for block in blocks:
            make = functions.of(block, source="segments", once=structure.once, structure=structure.name)
            for group in homes(self.layout, block):
                repeated = repeated_segment(self.layout, group, block)
                self.groups[group].append(compiled_block(library, block, make, repeated, structure.name))
        self.groups = [[_with_company(each, group) for each in group] for group in self.groups]
        if structure.each:
            names = patients.head(structure)
            self.groups[0] = [replace(each, head=names.issuperset(each.block.segments)) for each in self.groups[0]]
        for compiled in self.groups:  # elements when what they belong to is there
            compiled.sort(key=lambda each: each.block.element is not None)
        self.plans = Plans(self.groups, self.widths, None if explain else self._special)

    def _special(self, block: Block, known: Known) -> BlockFunction | None:
        """A function for messages of which something is known; None where it would make nothing of them."""
        once, name = self.structure.once, self.structure.name
        if block.condition and SourceCode(Writer({}), "segments", known).condition(block.condition) == "False":
            return None
        return self.functions.special(block, known, once=once, structure=name)

    def run(self, segments: list[Segment], context: Context, *, large: bool = True) -> None:
        """Makes all resources of one message in the context. `large`: it may hold a document."""
        astray: list[str] = []
        widths = self.widths
        wide = [
            each if len(each) >= (width := widths.get(each[0], 0)) else each + [""] * (width - len(each))
            for each in segments
        ]
        said: list[str] = []
        found = patients.parts(wide, self.structure, said)
        head: Head | None = {} if len(found) > 1 else None
        outlines = self.plans.outlines(segments, wide, large=large)
        for part in found:
            over: list[str] = []
            root = self.layout.place(part, astray, over)
            said.extend(f"{each} of the order stand with its encoding as well: those were read" for each in over)
            said.extend(self.layout.doubled(root))
            walk = _Walk(context, outlines, [], head)
            made = self._group(root, self.plans.root(root, outlines, context.facts), walk, {}, {})
            for link, entry in walk.last:
                link.apply(entry, made, context)
            root.dissolve()
        if astray:
            said.append(f"segments out of order were put where they belong: {' '.join(dict.fromkeys(astray))}")
        for each in said:
            context.note(each)

    def _group(self, instance: Instance, plan: Plan, walk: _Walk, around: dict[str, Entry], outer: Near) -> Made:
        """What the group and those inside it have become."""
        context = walk.context
        scope = dict(around)
        near = outer | {name: found[0] for name, found in instance.segments.items()}
        made: Made = {}
        linked: list[tuple[tuple[ListLink, ...], Entry]] = []
        self._blocks(instance, plan, near, walk, scope, made, linked)
        for children in instance.children.values():
            self._below(children, plan, near, walk, scope, made)
        for links, entry in linked:
            for link in links:
                if link.everywhere:
                    walk.last.append((link, entry))
                elif link.type in made or link.demanded:
                    link.apply(entry, made, context)
        return made

    def _below(
        self, children: list[Instance], plan: Plan, near: Near, walk: _Walk, scope: dict[str, Entry], made: Made
    ) -> None:
        """Adds what the groups inside a group have become. Most are results, each of one block."""
        for child in children:
            below = self.plans.below(plan, child, walk.outlines)
            if child.children or not (below.idle or below.single):
                for type_, entries in self._group(child, below, walk, scope, near).items():
                    made.setdefault(type_, []).extend(entries)
            elif below.single:
                function, name, index, compiled, _ = below.single
                entry = function(child, near, walk.context, scope, child.segments[name][index] if name else None)
                if entry is not None:
                    made.setdefault(compiled.block.type, []).append(entry)

    def _blocks(
        self, instance: Instance, plan: Plan, near: Near, walk: _Walk, scope: dict[str, Entry], made: Made,
        linked: list[tuple[tuple[ListLink, ...], Entry]],
    ) -> None:  # fmt: skip
        """The blocks of one group; `linked`: what is linked when everything below has been made."""
        context, head = walk.context, walk.head
        beside: dict[int | str, dict[str, Entry]] = {}  # what the same segment has become
        for function, name, index, compiled, links in plan.steps:
            item = instance.segments[name][index] if name else None
            own = beside.setdefault(id(item) if name else compiled.only, {}) if compiled.beside else None
            if head is None or not compiled.head:
                entry = function(instance, near, context, {**scope, **own} if own else scope, item)
            elif (id(compiled), id(item)) in head:
                entry = head[id(compiled), id(item)]
            else:
                entry = head[id(compiled), id(item)] = function(instance, near, context, scope, item)
            if entry is None:
                continue
            type_ = compiled.block.type
            if own is not None:
                own[type_] = entry
            if not compiled.apart:
                scope[type_] = entry
            made.setdefault(type_, []).append(entry)
            if links:
                linked.append((links, entry))


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is the same in all groups of a message. `last`: the links to all of it; `head`: what the head of a message
    about several patients has become."""

    context: Context
    outlines: dict[int, Outline]
    last: list[tuple[ListLink, Entry]]
    head: Head | None


def _with_company(compiled: CompiledBlock, group: list[CompiledBlock]) -> CompiledBlock:
    if compiled.repeated:
        company = [each for each in group if each.repeated == compiled.repeated]
        return replace(compiled, beside=len(company) > 1)
    alike = [each for each in group if not each.repeated and each.only == compiled.only != ""]
    asked = {type_ for each in alike for type_ in _asked(each)}
    made = asked & {_makes(each) for each in alike} & {_makes(each) for each in group if each not in alike}
    return replace(compiled, beside=bool(made & {_makes(compiled), *_asked(compiled)}))


def _makes(compiled: CompiledBlock) -> str:
    return "" if compiled.block.element or compiled.apart else compiled.block.type


def _asked(compiled: CompiledBlock) -> set[str]:
    return {line.link.type for line in compiled.block.lines if line.link and not line.link.every}


def _widths(blocks: list[Block]) -> dict[str, int]:
    """How long each segment must be, so that every field that a block reads is there."""
    widths: dict[str, int] = {}
    for block in blocks:
        for found in fields_of(block):
            widths[found.segment] = max(widths.get(found.segment, 0), found.number + 1)
    return widths


def homes(layout: Layout, block: Block) -> list[int]:
    """The groups in which a block runs: where its last segment lives (OBX lives under OBR and under SPM)."""
    return layout.homes.get(block.segments[-1], [])


def repeated_segment(layout: Layout, group: int, block: Block) -> str:
    """The block's segment that repeats inside this group (`NK1*`), "" when there is none."""
    return next((name for name in block.segments if name in layout.repeating[group]), "")
