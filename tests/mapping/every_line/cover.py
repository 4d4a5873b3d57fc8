"""Few short messages that set every line of every map to work, each alternative source, and each condition unheld."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir import validate
from gateway.mapping.examples import PROFILE, WHEN
from gateway.mapping.maps import Maps, Translation
from gateway.mapping.syntax import Block, Line
from tests.mapping.generated import Generator, Recipe, Unit

TRIED = 4  # how many messages are tried for one thing alone
Key = tuple[str, int, bool]  # line, number of its source, keeps still
Made = dict[str, tuple[bytes, set[Key]]]  # by name


def cover(maps: Maps) -> dict[str, bytes]:
    """Structure by structure: what no message before has shown goes into as few messages as its conditions allow; what
    does not speak in company is tried alone, and with the rest of its block."""
    made: Made = {}
    shown: set[Key] = set()
    generators = [Generator(maps.library, name) for name in maps.library.structures]
    for generator in generators:
        units = [unit for unit in generator.units() if _key(unit) not in shown]
        for recipe, those in _together(generator, units):
            _kept(maps, generator, recipe, those, made, shown)
    tried: Counter[Key] = Counter()
    for generator in generators:
        for unit in generator.units():
            if unit.still or _key(unit) in shown or tried[_key(unit)] == TRIED:
                continue
            for recipe in _alone(generator, unit):
                tried[_key(unit)] += 1
                _kept(maps, generator, recipe, [unit], made, shown)
    return _needed(made)


def _needed(made: Made) -> dict[str, bytes]:
    """Without the messages whose every thing others show as well."""
    count = Counter(key for _, spoken in made.values() for key in spoken)
    for name, (_, spoken) in sorted(made.items(), key=lambda each: (len(each[1][1]), each[0])):
        if all(count[key] > 1 for key in spoken):
            count.subtract(spoken)
            del made[name]
    return {name: body for name, (body, _) in made.items()}


def _kept(maps: Maps, generator: Generator, recipe: Recipe, those: list[Unit], made: Made, shown: set[Key]) -> None:
    """Keeps the message of a recipe where it shows something new; what cannot stand together is tried by halves."""
    body = generator.message(recipe)
    if all(_key(unit) in shown for unit in those):
        return
    translation = _translated(maps, body)
    if translation is None:
        half = len(those) // 2
        for part in (those[:half], those[half:]) if half else ():
            for smaller, units in _together(generator, part):
                _kept(maps, generator, smaller, units, made, shown)
        return
    spoken = {_key(unit) for unit in generator.units() if _speaks(unit, body, translation)}
    spoken |= {_key(unit) for unit in those if unit.still}
    if spoken - shown:
        name = generator.structure.name.lower()
        number = 1 + sum(each.rpartition("_")[0] == name for each in made)
        made[f"{name}_{number}"] = (body, spoken)
        shown |= spoken


def _together(generator: Generator, units: list[Unit]) -> Iterator[tuple[Recipe, list[Unit]]]:
    """Recipes, each for all units that fit together."""
    found: list[tuple[Recipe, list[Unit]]] = []
    for unit in units:
        for index, (recipe, those) in enumerate(found):
            trial = recipe.copy()
            if generator.prepare(trial, unit):
                found[index] = (trial, [*those, unit])
                break
        else:
            trial = _short(generator)
            if generator.prepare(trial, unit):
                found.append((trial, [unit]))
    yield from found


def _alone(generator: Generator, unit: Unit) -> Iterator[Recipe]:
    """The unit with nothing else, and with its block."""
    around = [line for block in (unit.block, *generator.parents(unit.block)) for line in block.lines]
    for lines in ([], around):
        recipe = _short(generator, *(str(each.place) for each in lines))
        if generator.prepare(recipe, unit):
            yield recipe


def _short(generator: Generator, *lines: str) -> Recipe:
    return Recipe(generator.structure.name, generator.kinds, only=frozenset(lines))


def speaking(maps: Maps, body: bytes) -> set[str]:
    """'hl7v2/patient.map:5' of every line that made an element of a message."""
    made = maps.to_fhir(hl7v2.decode(body), profile=PROFILE, when=WHEN, explain=True)
    units = Generator(maps.library, made.structure).units()
    return {str(unit.line.place) for unit in units if _speaks(unit, body, made)}


def named(block: Block, line: Line) -> str:
    """What a line is, wherever it stands in its file: 'patient.map Patient.gender PID-8'."""
    sources = "|".join(map(str, line.sources)) or (f"@{line.link.type}" if line.link else "constant")
    return f"{line.place.file.rpartition('/')[2]} {block.path}.{line.path} {sources}"


def _key(unit: Unit) -> Key:
    return (str(unit.line.place), unit.number, unit.still)


def _translated(maps: Maps, body: bytes) -> Translation | None:
    """None where it becomes no valid Bundle."""
    try:
        made = maps.to_fhir(hl7v2.decode(body), profile=PROFILE, when=WHEN, explain=True)
    except HutongError:
        return None
    return None if validate.problems(made.bundle) else made


def _speaks(unit: Unit, body: bytes, made: Translation) -> bool:
    """Did this source of the line make an element?"""
    if unit.still:
        return False
    place, link = str(unit.line.place), unit.line.link
    if link is not None:  # links are not traced: their element is there
        found = [each["resource"] for each in made.bundle["entry"]]
        return any(each["resourceType"] == unit.block.type and _first(unit) in each for each in found)
    return any(each.line == place and _from(unit, each.segment, each.field, body) for each in made.lineage)


def _first(unit: Unit) -> str:
    return (unit.block.element or unit.line.target[0]).name


def _from(unit: Unit, segment: int, number: int, body: bytes) -> bool:
    sources = unit.line.sources
    if len(sources) < 2 or segment < 0:
        return True
    name = body.split(b"\r")[segment][:3].decode()
    return (name, number) == (sources[unit.number].segment, sources[unit.number].number)
