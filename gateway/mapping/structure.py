"""Message structures: a flat list of segments becomes a tree of groups, and back.

Tolerant on purpose (HL7 v2.5.1 §2.6, and what senders really do): a segment that the structure does not name stays
with the group it stands in; one that comes out of order joins the nearest group that knows it; nothing is refused
and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from gateway.mapping.syntax import Group

Segment = list[str]
ORDER, ORDERED = "ORC", "OBR"
_ORDER = frozenset({ORDER, ORDERED})
Tree = tuple[int, tuple[Any, ...]]  # a group, and what it holds in order: numbers of segments, trees
_KEPT = 100_000  # segments of all the trees that are remembered
_SAID = ""  # among what is astray: a segment's place followed from what it says


class Instance:
    """One occurrence of a group: its segments by name, the groups below it, and the order in which all came."""

    __slots__ = ("children", "found", "group", "order", "parent", "segments")

    def __init__(self, group: int, parent: Instance | None) -> None:
        self.group = group
        self.parent = parent
        self.segments: dict[str, list[Segment]] = {}
        self.children: dict[int, list[Instance]] = {}
        self.order: list[Segment | Instance] = []
        self.found: dict[str, list[Segment]] = {}  # what `all_of` was asked for

    def add(self, segment: Segment) -> None:
        self.segments.setdefault(segment[0], []).append(segment)
        self.order.append(segment)

    def open(self, group: int) -> Instance:
        child = Instance(group, self)
        self.children.setdefault(group, []).append(child)
        self.order.append(child)
        return child

    def drop(self, child: Instance) -> None:
        """Takes back what `open` gave last."""
        self.children[child.group].remove(child)
        self.order.remove(child)

    def dissolve(self) -> None:
        """No child knows its parent any more: a tree that is done with is freed at once, without garbage collection."""
        for children in self.children.values():
            for child in children:
                child.parent = None
                child.dissolve()

    def nearest(self, name: str) -> Segment | None:
        """The first segment of this name here or in the groups around."""
        here: Instance | None = self
        while here is not None:
            found = here.segments.get(name)
            if found:
                return found[0]
            here = here.parent
        return None

    def every(self, name: str) -> Iterator[Segment]:
        """All segments of this name here and in the groups below, in order of arrival."""
        for part in self.order:
            if isinstance(part, Instance):
                yield from part.every(name)
            elif part[0] == name:
                yield part


def all_of(instance: Instance, name: str) -> list[Segment]:
    """The same of a tree that is complete: looked for once."""
    found = instance.found.get(name)
    if found is None:
        found = instance.found[name] = list(instance.every(name))
    return found


class Layout:
    """A message structure, prepared for placing segments. Groups are numbered; 0 is the message itself."""

    def __init__(self, root: Group) -> None:
        self.parents: list[int] = []
        self.positions: list[dict[str, int]] = []  # segment → position in its group
        self.repeating: list[set[str]] = []
        self.leaders: list[set[str]] = []  # segments that may begin an occurrence
        self.wanted: set[str] = set()  # leaders without which a group is none
        self.order: list[list[str | int]] = []  # items in order, for writing: a segment name or a group number
        self.slots: list[dict[str, list[int]]] = []  # segment → its positions, where it has several in its group
        self.places: dict[int, int] = {}  # group → its position in the group around it
        self._number(root, -1)
        self.chains = [self.chain(number) for number in range(len(self.parents))]
        self.routes = self._routes()
        self.below: list[list[int]] = [[] for _ in self.parents]  # the groups in each group
        for number, parent in enumerate(self.parents):
            if parent >= 0:
                self.below[parent].append(number)
        self._known: dict[tuple[str, ...], tuple[Tree, str]] = {}  # by the names of the segments; what was passed over
        self._held = 0
        self.homes: dict[str, list[int]] = {}
        for number, positions in enumerate(self.positions):
            for name in positions:
                self.homes.setdefault(name, []).append(number)

    def _number(self, group: Group, parent: int) -> int:
        number = len(self.parents)
        self.parents.append(parent)
        positions: dict[str, int] = {}
        repeating: set[str] = set()
        leaders: set[str] = set()
        order: list[str | int] = []
        slots: dict[str, list[int]] = {}
        self.positions.append(positions)
        self.slots.append(slots)
        self.repeating.append(repeating)
        self.leaders.append(leaders)
        self.order.append(order)
        leading = True
        for place, item in enumerate(group.items):
            if item.group is not None:
                inner = self._number(item.group, number)
                self.places[inner] = place
                order.append(inner)
                continue
            positions.setdefault(item.segment, place)
            order.append(item.segment)
            if item.repeats:
                repeating.add(item.segment)
            if leading:
                leaders.add(item.segment)
            if leading and not item.optional and parent >= 0:
                self.wanted.add(item.segment)
            leading = leading and item.optional
        for name in positions if parent >= 0 else ():
            if order.count(name) > 1:
                slots[name] = [place for place, each in enumerate(order) if each == name]
        return number

    def _routes(self) -> dict[tuple[int, int], tuple[int, tuple[int, ...]]]:
        """From each group to each: how many groups to leave, and which to open then."""
        found = {}
        for start, around in enumerate(self.chains):
            for home, wanted in enumerate(self.chains):
                met = next(number for number in around if number in wanted)
                found[start, home] = around.index(met), tuple(reversed(wanted[: wanted.index(met)]))
        return found

    def chain(self, number: int) -> list[int]:
        """The group and the groups around it, innermost first."""
        found = []
        while number >= 0:
            found.append(number)
            number = self.parents[number]
        return found

    def company(self, group: int) -> dict[str, frozenset[str]]:
        """The segments that stand in a group, and in the one around it."""
        around = frozenset(self.positions[self.parents[group]]) if group else frozenset[str]()
        return {"BESIDE": frozenset(self.positions[group]), "UNDER": around}

    def place(
        self, segments: list[Segment], astray: list[str] | None = None, over: list[str] | None = None
    ) -> Instance:
        """The tree of groups for the segments of one message. `astray` gets the names of those that came too late for
        their group, or too early before the segment that begins it; `over` what is said by a later level of its group
        as well: the timing of an order before that of its encoding is passed over."""
        names = tuple([segment[0] for segment in segments])
        known = self._known.get(names)
        if known is not None:  # the same segments in the same order
            if known[1] and over is not None:
                over.append(known[1])
            return _grown(known[0], segments, None)
        root = here = Instance(0, None)
        strays: list[str] = []
        for segment, following in zip(segments, self._following(names), strict=True):
            here = self._place(here, segment, following, strays)
        passed = " ".join(dict.fromkeys(self._passed(root)))
        if passed and over is not None:
            over.append(passed)
        if strays and astray is not None:
            astray.extend(name for name in strays if name != _SAID)
        elif not strays:
            self._remember(names, root, segments, passed)
        return root

    def _passed(self, here: Instance) -> Iterator[str]:
        """Takes out of groups what a later level says as well; answers the names."""
        for name, levels in self._levels(here).items():
            last = max(levels)
            found = here.segments[name]
            here.segments[name] = [each for each, level in zip(found, levels, strict=True) if level == last]
            gone = {id(each) for each, level in zip(found, levels, strict=True) if level < last}
            here.order = [each for each in here.order if id(each) not in gone]
            if gone:
                yield name
        for children in here.children.values():
            for child in children:
                yield from self._passed(child)

    def _levels(self, here: Instance) -> dict[str, list[int]]:
        """Name → the position of each segment, of those that have several in the group."""
        slots, positions, reached = self.slots[here.group], self.positions[here.group], 0
        found: dict[str, list[int]] = {}
        for each in here.order if slots else ():
            if isinstance(each, Instance):
                continue
            name = each[0]
            place = positions.get(name, 0)
            if name in slots:
                place = next((slot for slot in slots[name] if slot >= reached), slots[name][-1])
                found.setdefault(name, []).append(place)
            reached = max(reached, place)
        return found

    def _following(self, names: Sequence[str]) -> list[str]:
        """The name behind each; "" behind an ORC of which no OBR follows, where an order has one: it is that of the OBR
        before it."""
        found = [*names[1:], ""][: len(names)]
        ahead = ORDERED not in self.wanted
        for index in range(len(names) - 1, -1, -1):
            if names[index] == ORDER:
                found[index] = found[index] if ahead else ""
                ahead = ORDERED not in self.wanted
            elif names[index] == ORDERED:
                ahead = True
        return found

    def doubled(self, root: Instance) -> Iterator[str]:
        """What stands more than once before all groups where the structure has it once: only the first is read."""
        for name, found in root.segments.items():
            if len(found) > 1 and name in self.positions[0] and name not in self.repeating[0]:
                yield f"{name} stands there {len(found)} times and once in this structure: the first was read"

    def _remember(self, names: tuple[str, ...], root: Instance, segments: list[Segment], passed: str) -> None:
        if self._held + len(names) > _KEPT:
            self._known.clear()
            self._held = 0
        if len(names) <= _KEPT:
            tree = _tree(root, {id(segment): number for number, segment in enumerate(segments)})
            self._known[names] = tree, passed
            self._held += len(names)

    def _place(self, here: Instance, segment: Segment, following: str, astray: list[str]) -> Instance:
        name = segment[0]
        homes = self.homes.get(name)
        if not homes:  # a Z segment or one that this structure does not know: it stays where it stands
            here.add(segment)
            return here
        if len(homes) == 1:
            return self._into(here, homes[0], segment, following, astray)
        around = self.chains[here.group]
        home = next((number for number in around if number in homes), -1)
        if home >= 0:  # a result behind OBR is no longer the specimen's, although the specimen may have results too
            inside = around[: around.index(home)]
            home = next((number for number in homes if self.parents[number] in inside), home)
        if home >= 0 and len(homes) > 1 and self._full(here, home, name):
            # e.g. a second NTE after OBX belongs to OBX, but an OBX after SPM may begin its own group below
            deeper = next((number for number in homes if number != home and self.parents[number] in around), -1)
            home = deeper if deeper >= 0 and self.parents[deeper] == here.group else home
        if home < 0:
            home = min(homes, key=lambda number: self._distance(number, around))
        return self._into(here, home, segment, following, astray)

    def _full(self, here: Instance, home: int, name: str) -> bool:
        while here.group != home and here.parent is not None:
            here = here.parent
        return name in here.segments and name not in self.repeating[home]

    def _distance(self, number: int, around: list[int]) -> int:
        steps = 0
        while number not in around:
            number = self.parents[number]
            steps += 1
        return steps * 100 + around.index(number)

    def _into(self, here: Instance, home: int, segment: Segment, following: str, astray: list[str]) -> Instance:
        opened = here
        leave, enter = self.routes[here.group, home]
        for _ in range(leave):
            here = here.parent or here
        for number in enter:
            here = here.open(number)
        if here.parent is not None and not enter:
            if self._begins(here, segment, following, astray):
                here = here.parent.open(here.group)
            elif here.segments and self._leaderless(here) and segment[0] in self.leaders[here.group]:
                astray.extend(here.segments)
        here.add(segment)
        if not leave or not self._late(here, opened, segment[0]):
            return here
        astray.append(segment[0])
        return opened

    def _leaderless(self, here: Instance) -> bool:
        """Was this group opened by a segment that came too early?"""
        return self.leaders[here.group].isdisjoint(here.segments)

    def _late(self, here: Instance, opened: Instance, name: str) -> bool:
        """A segment of a group around that should have come before the groups that are open: they stay open."""
        while opened is not here:
            if opened.parent is here:
                return self.positions[here.group].get(name, -1) < self.places[opened.group]
            if opened.parent is None:
                return False
            opened = opened.parent
        return False

    def _begins(self, here: Instance, segment: Segment, following: str, astray: list[str]) -> bool:
        """Does this segment begin another occurrence of the group that is open?"""
        name = segment[0]
        if name in here.segments:
            return name not in self.repeating[here.group]
        positions = self.positions[here.group]
        if name not in self.leaders[here.group] or not any(
            positions.get(present, -1) > positions[name] for present in here.segments
        ):
            return False
        if self._leaderless(here):
            return False  # opened by a segment that came too early: the leader joins it
        # a leader behind what should follow it: many laboratories send OBR ORC OBX
        if name in _ORDER and not _ORDER.isdisjoint(here.segments):
            astray.append(_SAID)
        if name in self.repeating[here.group]:  # a timing behind OBR: its own, unless another OBR follows
            return following in here.segments and following not in self.repeating[here.group]
        together = _one_order(segment, here.segments)
        return bool(here.children) or following in here.segments if together is None else not together

    def write(self, instance: Instance) -> Iterator[Segment]:
        """The segments of a tree in the order of the structure; what it does not name follows its group."""
        if not instance.children and len(instance.segments) == 1:
            yield from next(iter(instance.segments.values()))
            return
        written: set[str] = set()  # a name may stand twice in a structure: NTE before and behind PID
        slots = self.slots[instance.group]
        for place, item in enumerate(self.order[instance.group]):
            if isinstance(item, int):
                for child in instance.children.get(item, ()):
                    yield from self.write(child)
            elif item not in written and (item not in slots or place == self._level(instance, slots[item])):
                written.add(item)
                yield from instance.segments.get(item, ())
        for name, segments in instance.segments.items():
            if name not in written:
                yield from segments

    def _level(self, instance: Instance, slots: list[int]) -> int:
        """The position, of several, at which a segment is written: behind what else there is."""
        order, there = self.order[instance.group], instance.segments
        behind = [
            place for before, place in pairwise(slots) if any(each in there for each in order[before + 1 : place])
        ]
        return behind[-1] if behind else slots[0]


def _tree(instance: Instance, numbers: dict[int, int]) -> Tree:
    items = [_tree(each, numbers) if isinstance(each, Instance) else numbers[id(each)] for each in instance.order]
    return instance.group, tuple(items)


def _grown(tree: Tree, segments: list[Segment], parent: Instance | None) -> Instance:
    """A remembered tree with other segments."""
    made = Instance(tree[0], parent)
    named, children, order = made.segments, made.children, made.order
    for item in tree[1]:
        if item.__class__ is int:
            segment = segments[item]
            name = segment[0]
            if name in named:
                named[name].append(segment)
            else:
                named[name] = [segment]
            order.append(segment)
        else:
            child = _grown(item, segments, made)
            if child.group in children:
                children[child.group].append(child)
            else:
                children[child.group] = [child]
            order.append(child)
    return made


def _one_order(segment: Segment, present: dict[str, list[Segment]]) -> bool | None:
    """ORC and OBR of one order agree in the placer's or the filler's number (v2.5.1 §4.5.1); None: they do not say."""
    others = [other[0] for name, other in present.items() if {name, segment[0]} == {"ORC", "OBR"}]
    said = [
        (mine, theirs)
        for other in others
        for mine, theirs in zip(segment[2:4], other[2:4], strict=False)
        if mine and theirs
    ]
    return any(mine.partition("^")[0] == theirs.partition("^")[0] for mine, theirs in said) if said else None
