"""Segments while they are written: found here or around, made, filled part by part, numbered."""

from __future__ import annotations

from collections.abc import Container, Iterator

from gateway.mapping.runtime import component, first
from gateway.mapping.structure import Instance, Segment
from gateway.mapping.syntax import Condition, Field


def set_field(segment: Segment, number: int, text: str) -> None:
    if (missing := number + 1 - len(segment)) > 0:
        segment.extend([""] * missing)
    segment[number] = text


def part_of(segment: Segment, found: Field) -> str:
    """The text of a field, or of the component that is meant."""
    whole = segment[found.number] if len(segment) > found.number else ""
    return component(whole, found.component, found.subcomponent, False) if found.component else whole


def set_part(segment: Segment, found: Field, text: str) -> None:
    """Sets a field or a component of it."""
    if found.component:
        parts = (segment[found.number] if len(segment) > found.number else "").split("^")
        parts.extend([""] * (found.component - len(parts)))
        parts[found.component - 1] = text
        text = "^".join(parts)
    set_field(segment, found.number, text)


def with_components(whole: str, found: Field, text: str) -> str:
    """A field with a component added to each of its repetitions: `ERR-1*.4`; what stands there stays."""
    repetitions = whole.split("~")
    texts = text.split("~")
    repetitions.extend([""] * (len(texts) - len(repetitions)))
    for index, each in enumerate(texts):
        parts = repetitions[index].split("^")
        parts.extend([""] * (found.component - len(parts)))
        parts[found.component - 1] = parts[found.component - 1] or each
        repetitions[index] = "^".join(parts)
    return "~".join(repetitions)


def completed(whole: str, text: str) -> str:
    """What stands in a field; where another line wrote none of the same components (the placer's number beside the
    filler's, SPM-2), both."""
    one, two = whole.split("^"), text.split("^")
    if not one[0] and len(one) > len(two):
        return "^".join(mine or theirs for mine, theirs in zip(one, [*two, *[""] * (len(one) - len(two))], strict=True))
    return whole


def fitting(instance: Instance, source: Field, text: str, used: list[Segment]) -> Segment | None:
    """A segment that is there already, is of the kind that a filter asks for, and has the field free for a text, or
    holds its beginning."""
    for each in instance.segments.get(source.segment, ()) if source.where else ():
        taken = any(each is other for other in used)
        if source.where and not taken and _holds(source.where, each) and text.startswith(part_of(each, source)):
            return each
    return None


def filtered(instance: Instance, source: Field) -> Segment:
    """A new segment of the kind that a filter asks for."""
    segment = new(instance, source.segment)
    for found, value in _told(source.where) if source.where else ():
        set_part(segment, found, value)
    return segment


def _told(condition: Condition) -> Iterator[tuple[Field, str]]:
    """The values that a filter names: those of `PRD-1.1 = RP and …`."""
    if condition.operator == "and":
        for part in condition.parts:
            yield from _told(part)
    elif condition.operator == "in" and condition.field:
        yield condition.field, condition.values[0]


def _holds(condition: Condition, segment: Segment) -> bool:
    match condition.operator:
        case "and" | "or":
            held = [_holds(part, segment) for part in condition.parts]
            return all(held) if condition.operator == "and" else any(held)
        case "not":
            return not _holds(condition.parts[0], segment)
    text = part_of(segment, condition.field) if condition.field else ""
    return first(text) in condition.values if condition.operator == "in" else bool(text)


def nearest(instance: Instance, name: str, homes: Container[int] = ()) -> Segment:
    """The segment of this name here or around, else a new one in the innermost group that it belongs to."""
    here: Instance | None = instance
    home = instance
    while here is not None:
        if name in here.segments:
            return here.segments[name][0]
        if here.group in homes and home.group not in homes:
            home = here
        here = here.parent
    return new(home, name)


def there(instance: Instance, name: str) -> bool:
    here: Instance | None = instance
    while here is not None and name not in here.segments:
        here = here.parent
    return here is not None


def new(instance: Instance, name: str) -> Segment:
    segment = [name]
    instance.add(segment)
    return segment


# segments with a set id in field 1
NUMBERED = frozenset(
    {
        *(
            "AIG",
            "AIL",
            "AIP",
            "AIS",
            "PID",
            "NK1",
            "PV1",
            "AL1",
            "IAM",
            "DB1",
            "DG1",
            "PR1",
            "FT1",
            "GT1",
            "IN1",
            "IN3",
        ),
        *("OBR", "OBX", "NTE", "SPM", "TQ1", "BPO", "RQD"),
    }
)


def counted(instance: Instance, seen: dict[str, int] | None = None) -> None:
    """Set ids: counted within the enclosing group (OBX restarts with each OBR). Empty fields at the end go."""
    counts: dict[str, int] = seen if seen is not None else {}
    for name, segments in instance.segments.items():
        for segment in segments:
            if not segment[-1]:
                end = len(segment) - 1
                while not segment[end - 1]:
                    end -= 1
                del segment[end:]
            if name in NUMBERED and len(segment) > 1:
                counts[name] = counts.get(name, 0) + 1
                segment[1] = str(counts[name])
    if instance.children:
        below: dict[str, int] = {}
        for children in instance.children.values():
            for child in children:
                counted(child, below)
