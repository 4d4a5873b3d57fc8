"""One message being written: which resources its groups are about, and what of them each block of a group writes."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any

from gateway.mapping import origins
from gateway.mapping.context import KEY, Context, passing
from gateway.mapping.graph import Graph, values_at
from gateway.mapping.pen import Pen
from gateway.mapping.segments import new
from gateway.mapping.structure import Instance, Segment
from gateway.mapping.syntax import Field
from gateway.mapping.written_blocks import Target, elements
from gateway.mapping.written_lines import Claims, WrittenLine, leaf_values
from gateway.model import Resource

if TYPE_CHECKING:
    from gateway.mapping.message_writer import MessageWriter

ALONE = frozenset({"OperationOutcome"})  # nothing refers to it and it refers to nothing: what came of the message
Known = dict[str, Resource]  # what the groups around are about, by type
Placed = tuple[Instance, Target, list[Any], dict[str, Any], Segment]  # a list, and where an element of it stands
There = tuple[list[list[Target]], list[list[Target]], list[list[int]], list[Target | None]]
NO_GROUPS: There = ([], [], [], [])  # of what is only the head of a message


class Writing:
    """One message being written: in the group of a lead every resource is written once."""

    def __init__(self, writer: MessageWriter, graph: Graph, context: Context, *, head: bool = False) -> None:
        self.writer = writer
        self.graph = graph
        self.context = context
        self.groups, self.opening, self.inside, self.lone = NO_GROUPS if head else writer.there(graph)
        self.choosing = writer.choosing
        self.ways = {} if head else writer.ways(context)
        self.done: dict[int, Resource] = {}  # by identity
        self.claims: dict[int, Claims] = {}  # what of each resource is written already
        self.segments: dict[tuple[int, str], Segment] = {}  # (id of a resource, name) → the segment it became
        self.fitting: dict[tuple[int, int], bool] = {}  # (block, resource) → may the one write the other?
        self.stood: set[str] = set()  # the names of those
        self.plans = writer.plans.of(tuple(context.facts.values()))
        self.places: dict[
            tuple[int, str], list[Placed]
        ] = {}  # (id of a group, segment) → the elements that stand there
        self.later: list[tuple[Pen, Field, str]] = []  # second fields of alternatives, when all else is written
        self.sent: list[tuple[Pen, Field, str, str]] = []  # fields as they came, where their parts say the same

    def with_others(self, leads: list[Resource]) -> list[Resource]:
        """The leads and those that they refer to across the whole message: the other patient of a link."""
        found = list(leads)
        for lead in leads:
            for link in self.writer.everywhere:
                if link.path.resource == lead["resourceType"] and link.applies(self.context):
                    others = self.graph.follow(lead, link.path, link.type)
                    found.extend(each for each in others if not _in(each, found))
        return found

    def fill(self, instance: Instance, known: Known) -> None:
        """The blocks of a group, then the groups inside it. What is found for it is added to `known`."""
        for target in self.groups[instance.group]:
            self.write(instance, target, known, known)
        for number in self.inside[instance.group]:
            self.below(instance, number, known)
        if instance.parent is None:
            self.inner(instance, known)

    def inner(self, root: Instance, known: Known) -> None:
        """Groups inside one that nothing opened, for what stands nowhere yet: a specimen without an order (SPM without
        OBR)."""
        for number in self.writer.layout.below[0]:
            if number in root.children or not self.inside[number]:
                continue
            child = root.open(number)
            for each in self.inside[number]:
                self.below(child, each, known)
            if not child.order:
                root.drop(child)

    def listed(self, leads: list[Resource]) -> list[Resource]:
        """What the leads list as theirs (the results of reports): none of it stands before their groups."""
        links = self.writer.lists
        return [each for lead in leads for link in links for each in self.graph.follow(lead, link.path, link.type)]

    def below(self, instance: Instance, number: int, known: Known, without: Container[int] = ()) -> None:
        for target in self.opening[number]:
            if target.list:
                for element in self._elements(target, known):
                    child = instance.open(number)
                    self._element(child, target, known, element)
                    self.fill(child, dict(known))
            elif not target.block.into:
                self._extra(instance, number, target, known)
            else:
                lone = self.lone[number] is target
                for resource in self._candidates(target, known, without):
                    if id(resource) in self.done:
                        continue
                    if lone:
                        self._write(instance.open(number), target, resource)
                    else:
                        self.fill(instance.open(number), {**known, target.block.type: resource})

    def write(self, instance: Instance, target: Target, known: Known, bound: Known) -> None:
        """One block of a group; what it found is bound for the others."""
        if not target.block.into:
            self._only_written(instance, target, known)
            return
        if target.list:
            for element in self._elements(target, known)[: None if target.repeated else 1]:
                self._element(instance, target, known, element)
            return
        for resource in self._found(target, known):
            if not target.apart:
                bound.setdefault(target.block.type, resource)
            self._write(instance, target, resource)

    def _write(self, instance: Instance, target: Target, resource: Resource) -> None:
        """A resource by a block, in a segment of its own where that repeats."""
        self.done[id(resource)] = resource
        fresh = new(instance, target.repeated) if target.repeated else None
        pen = Pen(instance, fresh, self)
        pen.block(target, resource)
        self.claims[id(resource)] = pen.claims
        if target.about not in self.writer.shared:
            return
        became = fresh or next(iter(instance.segments.get(target.about, ())), None)
        if became is not None:
            self.segments[(id(resource), target.about)] = became
            self.stood.add(target.about)

    def _found(self, target: Target, known: Known) -> list[Resource]:
        """What a block writes in its group: what the group is about, or what belongs to that."""
        here = known.get(target.block.type)
        if here is not None and not target.repeated and not target.apart:
            if self._fits(target, here):
                return [here]
            if not target.mark:
                return []
        found = self._candidates(target, known)
        return found if target.repeated else found[:1]

    def _only_written(self, instance: Instance, target: Target, known: Known) -> None:
        """A block that is only written: once."""
        resource = known.get(target.block.type)
        if resource is not None:
            Pen(instance, None, self).block(target, resource)

    def _elements(self, target: Target, known: Known) -> list[dict[str, Any]]:
        owner = known.get(target.block.type)
        if owner is None or target.list is None or target.list.name not in owner:
            return []
        claims = self.claims.setdefault(id(owner), Claims())
        free = claims.free(target.block.path, values_at(owner, [target.list]))
        if not free:
            return []
        if target.beside:  # they stand in the segment of the resource that they refer to
            there = target.about in self.stood
            beside = [each for each in free if self._beside(target, each) is not None] if there else []
            alone = self._alone(owner, target, claims) if target.aside else []
            return [*beside, *(each for each in alone if not self._refers(target, each))]
        return self._alone(owner, target, claims)

    def _refers(self, target: Target, element: dict[str, Any]) -> bool:
        """Does an element refer to what stands in a segment of its own?"""
        return any(self.graph.follow(element, link.path, link.type) for link in target.beside)

    def _alone(self, owner: Resource, target: Target, claims: Claims) -> list[dict[str, Any]]:
        """The elements that have a segment of their own."""
        fields = self.writer.fields
        found = ((each, origins.field_of(each, fields, self.context)) for each in self._written(owner, target, claims))
        if target.mark:
            return [each for each, field in found if field == target.mark]
        return [each for each, field in found if not field or field in target.fields]

    def _written(self, owner: Resource, target: Target, claims: Claims) -> list[dict[str, Any]]:
        """Once there are none there never will be: what is claimed stays so."""
        if id(target) in claims.barren:
            return []
        found = elements(owner, target, self.context, self.graph, claims)
        if not found:
            claims.barren.add(id(target))
        return found

    def _beside(self, target: Target, element: dict[str, Any]) -> Segment | None:
        """The segment that what an element refers to was written in."""
        linked = (each for link in target.beside for each in self.graph.follow(element, link.path, link.type))
        found = (self.segments.get((id(each), target.about)) for each in linked)
        return next((each for each in found if each is not None), None)

    def _element(self, instance: Instance, target: Target, known: Known, element: dict[str, Any]) -> None:
        """One element of a list, in a segment of its own where that repeats."""
        fresh = self._beside(target, element)
        owner = known[target.block.type]
        if fresh is None and target.repeated:
            fresh = new(instance, target.repeated)
            if target.list is not None and not target.alone:
                place = instance, target, owner[target.list.name], element, fresh
                self.places.setdefault((id(instance), target.repeated), []).append(place)
        pen = Pen(instance, fresh, self)
        self.claims[id(owner)].take(target.block.path, element)
        pen.block(target, element)

    def finish(self) -> None:
        """What waits until all else is written. Then no pen is held: each holds this, and all that is freed at once."""
        for pen, found, text in self.later:
            pen.alternative(found, text)
        for pen, found, text, meant in self.sent:
            pen.as_sent(found, text, meant)
        self._order()
        self.later.clear()
        self.sent.clear()

    def _order(self) -> None:
        """Elements of one list that several blocks have written into one kind of segment: in the order of the list."""
        for (_, name), placed in self.places.items():
            listed, segments = placed[0][2], placed[0][0].segments[name]
            several = len({id(target) for _, target, *_ in placed}) > 1
            if several and len(segments) == len(placed) and all(each[2] is listed for each in placed):
                order = {id(element): number for number, element in enumerate(listed)}
                found = {id(segment): order[id(element)] for *_, element, segment in placed}
                segments.sort(key=lambda each: found[id(each)])

    def _fits(self, target: Target, resource: Resource) -> bool:
        """Asked once for each block and resource."""
        if id(target) not in self.choosing:
            return True
        key = id(target), id(resource)
        found = self.fitting.get(key)
        if found is None:
            found = self.fitting[key] = self._belongs(target, resource)
        return found

    def _belongs(self, target: Target, resource: Resource) -> bool:
        """Where two blocks make one type, a resource goes back to the kind that it came from: a specimen that is only
        known by its report to OBR-15, others to SPM; to the field that it says itself; and to the group that
        its links tell."""
        type_ = target.block.type
        if not self.graph.tells:
            if target.mark:
                return False
        elif (marks := self.writer.marks.get(type_)) and origins.field_of(resource, marks, self.context) != target.mark:
            return False
        for link in target.here:
            if not self.graph.follow(resource, link.path, link.type):
                return False
        for link in target.elsewhere:
            if link.path.elements[0].name in resource and self.graph.follow(resource, link.path, link.type):
                return False
        if type_ not in self.writer.keyed:
            return True
        numbers = resource.get("identifier", ())
        named = any([each.get("system") != KEY or passing(str(each.get("value")), type_) for each in numbers])  # noqa: C419 - faster
        return bool(target.block.key) != named

    def _candidates(self, target: Target, known: Known, without: Container[int] = ()) -> list[Resource]:
        """The resources for a block that are not written yet: those that known ones link to, else those that link to
        known ones. `without`: others that are not meant."""
        type_ = target.block.type
        if (target.mark and not self.graph.tells) or not self._any_left(type_, without):
            return []
        if not target.links and (type_ in ALONE or target.mark):
            return [each for each in self._left(self.graph.of_type[type_], without) if self._fits(target, each)]
        linked, listed = self._linked(type_, known)
        found = self._left(linked, without)
        if (not linked and not listed) or target.apart or target.mark:
            for link in target.links:
                if (not link.every or target.mark) and link.type in known:
                    pointing = self._left(self.graph.pointing(known[link.type], link.path), without)
                    found.extend(each for each in pointing if self._holds(each, target, known) and not _envelope(each))
        if not found:
            return found
        found = list({id(each): each for each in found}.values())
        if id(target) in self.choosing:
            found = [each for each in found if self._fits(target, each)]
        return [each for each in found if self._stands(each, target, known)] if target.here else found

    def _any_left(self, type_: str, without: Container[int]) -> bool:
        """Is anything of a type not written yet?"""
        done = self.done
        for each in self.graph.of_type.get(type_, ()):  # noqa: SIM110 - asked for each block of each group
            if id(each) not in done and id(each) not in without:
                return True
        return False

    def _left(self, resources: Iterable[Resource], without: Container[int]) -> list[Resource]:
        done = self.done
        return [each for each in resources if id(each) not in done and id(each) not in without]

    def _linked(self, type_: str, known: Known) -> tuple[list[Resource], bool]:
        """(what known resources link to, whether one of them lists this type). The lead's own list is the whole truth:
        an order of several reports has the specimens of them all."""
        found: list[Resource] = []
        lists: set[str] = set()
        lead = self.writer.structure.lead
        for from_, links in self.ways.get(type_, ()):
            start = known.get(from_)
            if start is None:
                continue
            for link in links:
                name = link.path.leaf.name
                if name in lists and from_ != lead:
                    continue
                if link.every:
                    lists.add(name)
                found.extend(self.graph.follow(start, link.path, type_))
        return found, bool(lists)

    def _holds(self, resource: Resource, target: Target, known: Known) -> bool:
        """A condition of another visit of the same patient does not belong here."""
        for link in target.links:
            if link.every or link.type not in known:
                continue
            linked = self.graph.follow(resource, link.path, link.type)
            if linked and not _in(known[link.type], linked):
                return False
        return True

    def _stands(self, resource: Resource, target: Target, known: Known) -> bool:
        """A result of one specimen does not stand in the group of another."""
        linked = (self.graph.follow(resource, each.path, each.type) for each in target.here if each.type in known)
        return all(_in(known[each[0]["resourceType"]], each) for each in linked if each)

    def _extra(self, instance: Instance, number: int, target: Target, known: Known) -> None:
        """A block that is only written: one occurrence for each value (a conclusion, an attached document)."""
        resource = known.get(target.block.type)
        condition = target.block.condition
        if resource is None or (condition and condition.field and not resource.get(condition.field.name)):
            return
        results = (self.graph.resolve(each) for each in resource.get("result", ()))
        if target.block.unless and any(each is not None and _has_code(each, target.block.unless) for each in results):
            return
        lists = [values_at(resource, each.path.elements) for each in target.lines if _many(each)]
        for index in range(max(map(len, lists), default=1)):
            child = instance.open(number)
            fresh = new(child, target.block.segments[0])
            pen = Pen(child, fresh, self)
            for written in sorted(target.lines, key=_many, reverse=True):
                listed = values_at(resource, written.path.elements)[index:] if _many(written) else []
                if lists and not listed and len(fresh) == 1:
                    instance.drop(child)  # the value says nothing that could be written
                    break
                pen.put(written, listed[:1] or leaf_values(resource, written, pen.claims)[:1])


def _many(written: WrittenLine) -> bool:
    return any(each.many for each in written.path.elements)


def _in(resource: Resource, resources: Iterable[Resource]) -> bool:
    return any(each is resource for each in resources)


def _envelope(resource: Resource) -> bool:
    """Is it what the gateway says of a whole document: where it comes from?"""
    return resource["resourceType"] == "Provenance" and "entity" in resource


def _has_code(resource: Resource, code: str) -> bool:
    concept = resource.get("code")
    return isinstance(concept, dict) and any(each.get("code") == code for each in concept.get("coding", ()))
