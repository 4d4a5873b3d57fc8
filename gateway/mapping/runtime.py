"""What compiled maps call while they run: reading fields, components, and setting links. Small and fast."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from gateway.codec.table import UNSEEN
from gateway.fhir.bundle import remember
from gateway.mapping.context import Context, Entry
from gateway.mapping.datatypes.clocks import no_words
from gateway.mapping.structure import Instance, Segment, all_of
from gateway.mapping.syntax import Condition

_OPEN = ("", "BESIDE", "UNDER", "BEHIND")  # no facts of the whole message

_CODES = 4096  # texts of one coded field
_LONGEST_CODE = 200  # characters
NULL = '""'  # explicit null (v2.5.1 §2.5.3): the receiver deletes what it has
ABSENT: Segment = []


def component(raw: str, number: int, sub: int, composite: bool) -> str:
    """One component of one repetition. For a composite type its subcomponents stand as components again."""
    parts = raw.split("^", number)
    if len(parts) < number:
        return ""
    found = parts[number - 1]
    if sub:
        pieces = found.split("&", sub)
        return pieces[sub - 1] if len(pieces) >= sub else ""
    return found.replace("&", "^") if composite else found


def first(raw: str) -> str:
    """The first component of the first repetition: what codes are compared with."""
    for separator in "~^&":
        if separator in raw:
            raw = raw.partition(separator)[0]
    return raw


class KeyTexts(dict[str, str]):
    """The first component of a coded field that says something, by the text of the field."""

    def __init__(self, components: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.components = components

    def __missing__(self, raw: str) -> str:
        found = (said(_of_key(raw, number, sub) if number else first(raw)) for number, sub in self.components)
        text = next(filter(None, found), "")
        if len(raw) <= _LONGEST_CODE:
            if len(self) >= _CODES:
                self.clear()
            self[raw] = text
            remember(text)
        return text


def _of_key(raw: str, number: int, sub: int) -> str:
    """As lines of simple types read a component."""
    return raw.partition("^")[0] if number == 1 and not sub else component(raw, number, sub, composite=False)


def said(text: str) -> str:
    """A part of a key: an explicit null names nothing."""
    return "" if text == NULL else text.strip()


def cell_said(text: str) -> str:
    """The same of a cell: a code in full-width characters names what it names in half-width ones, a dash nothing."""
    if len(text) <= 6 and no_words(text):
        return ""
    if text.isascii() and text.isalnum():  # nearly all numbers
        return text
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).split())


def chosen(instance: Instance, name: str) -> Iterable[Segment]:
    return all_of(instance, name) if instance.children else instance.segments.get(name, ())


def stands_behind(instance: Instance, segment: Segment, names: frozenset[str]) -> bool:
    """Is the nearest segment of another name before this one, in its group, one of these?"""
    before = ""
    for each in instance.order:
        if each is segment:
            break
        if isinstance(each, list) and each[0] != segment[0]:
            before = each[0]
    return before in names


def judged(condition: Condition, known: Callable[[Condition], bool | None]) -> bool | None:
    """What a condition comes to where some of its parts are known: True, False, or None for open."""
    match condition.operator:
        case "not":
            inner = judged(condition.parts[0], known)
            return None if inner is None else not inner
        case "and" | "or":
            deciding = condition.operator == "or"
            parts = [judged(part, known) for part in condition.parts]
            return deciding if deciding in parts else None if None in parts else not deciding
        case _:
            return known(condition)


def settled(condition: Condition, structure: str) -> bool | None:
    """What a condition comes to in one message structure; None: it depends on the message."""
    if not structure:
        return None
    return judged(condition, lambda each: structure in each.values if each.fact == "STRUCTURE" else None)


def possible(condition: Condition, context: Context) -> bool:
    """Can a condition hold, judged by the facts of the message alone (EVENT, STRUCTURE …)? Going back, what it asks of
    source fields is open: there the element being present is the condition."""
    return possible_with(condition, context.facts)


def possible_with(condition: Condition, facts: Mapping[str, str]) -> bool:
    """The same, of a message of these facts."""

    def known(each: Condition) -> bool | None:
        return None if each.fact in _OPEN else facts.get(each.fact) in each.values

    return judged(condition, known) is not False


def complete(
    resource: dict[str, Any], exact: tuple[str, ...], stems: tuple[str, ...], name: str, context: Context
) -> bool:
    """Is everything there that R4 demands? If not, it is left out and said so; the raw message keeps it."""
    missing = next((name for name in exact if name not in resource), "")
    for stem in stems:
        if not missing and not any(each.startswith(stem) for each in resource):
            missing = stem
    if missing:
        context.note(f"no {name} was made: the message gives no {missing}")
    return not missing


def repeated(text: str, resource: Mapping[str, Any], name: str, inner: str) -> bool:
    """Does an element of the list say this text already?"""
    return any(each.get(inner) == text for each in resource.get(name, ()))


def further(text: str | None, line: str) -> str:
    """Several sources of one text are its lines."""
    return f"{text}\n{line}" if text else line


def cell(row: Mapping[str, str], name: str) -> str:
    return row.get(name, "")


def node(tree: Any, path: str) -> str:
    """The text at a path of a tree ('患者/姓名'), "" where there is none; a list of texts is joined with ';'."""
    for name in path.split("/"):
        tree = _step(tree, name)
    if isinstance(tree, dict):  # an element with attributes
        tree = tree.get("#text")
    if isinstance(tree, list):
        return "; ".join(text for each in tree if (text := scalar(each)))
    return scalar(tree)


def _step(tree: Any, name: str) -> Any:
    """What stands there by a name: `转出`, `流转记录[状态=已拒收]` (the last of these), `流转记录[-1]` (the last),
    `目前用药[]` (texts, all of them)."""
    if not isinstance(tree, dict):
        return None
    if not name.endswith("]"):
        return tree.get(name)
    if name.endswith("[]"):
        return tree.get(name[:-2])
    name, _, wanted = name[:-1].partition("[")
    element, sign, value = wanted.partition("=")
    there = tree.get(name)
    listed = there if isinstance(there, list) else [] if there is None else [there]
    found = [each for each in listed if not sign or (isinstance(each, dict) and scalar(each.get(element)) == value)]
    return found[-1] if found else None


def nodes(tree: Any, path: str) -> list[Any]:
    """The nodes at a path: the elements of a list, or the one node."""
    for name in path.split("/"):
        tree = _step(tree, name)
    if tree is None:
        return []
    return tree if isinstance(tree, list) else [tree]


def scalar(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text.strip() if text.isascii() else _seen(text)


def _seen(text: str) -> str:
    """Without the signs that nobody sees; most short texts come again and again."""
    return _seen_before(text) if len(text) <= _LONGEST_CODE else UNSEEN.sub("", text).strip()


@lru_cache(maxsize=_CODES)
def _seen_before(text: str) -> str:
    return UNSEEN.sub("", text).strip()


def link(resource: dict[str, Any], path: tuple[tuple[str, bool], ...], entries: list[Entry]) -> None:
    """Sets references at a path of (name, list?) steps; what is there already is not doubled."""
    here: Any = resource
    for name, many in path[:-1]:
        here = here.setdefault(name, [{}])[0] if many else here.setdefault(name, {})
    name, many = path[-1]
    if not many:
        if entries:
            here.setdefault(name, {"reference": entries[0].full_url, **display(entries[0])})
        return
    listed = here.get(name) or []
    there = {each.get("reference") for each in listed}
    made = [reference_shown(each) for each in entries if each.full_url not in there]
    if listed:
        listed.extend(made)
    elif made:
        here[name] = made


def refer(resource: dict[str, Any], path: tuple[tuple[str, bool], ...], entry: Entry) -> None:
    """`recorder.reference = @Patient`: the reference stands beside what is told of it already (a name, a relation)."""
    here: Any = resource
    for name, many in path[:-1]:
        here = here.setdefault(name, [{}])[0] if many else here.setdefault(name, {})
    here.setdefault("reference", entry.full_url)


def followed(resource: dict[str, Any], name: str, entry: Entry, element: str) -> None:
    """`subject = @ServiceRequest.subject`: what another resource says there, where nothing is said yet."""
    said = entry.resource.get(element)
    if said is not None and name not in resource:
        resource[name] = _fresh(said)


def link_each(
    resource: dict[str, Any], path: tuple[tuple[str, bool], ...], entries: list[Entry], constants: dict[str, Any]
) -> None:
    """`link*{type=replaces}.other = @@Patient`: one list element for each reference."""
    (outer, _), *rest = path
    listed = resource.setdefault(outer, [])
    for entry in entries:
        element = _fresh(constants)
        if rest:
            link(element, tuple(rest), [entry])
        else:
            element |= reference_shown(entry)
        if element not in listed:
            listed.append(element)
    if not listed:
        del resource[outer]


def _fresh(value: Any) -> Any:
    """A copy that shares nothing."""
    if isinstance(value, dict):
        return {name: _fresh(each) for name, each in value.items()}
    return list(map(_fresh, value)) if isinstance(value, list) else value


SHOWN = frozenset({"Patient", "Practitioner", "Organization", "Location", "Condition"})  # with a name in references


def halves_left_out(holder: dict[str, Any], steps: tuple[tuple[str, bool], ...], context: Context) -> None:
    """A Ratio has both its parts or neither (R4 rat-1): one whose other part was no number is not made."""
    (name, many), *rest = steps
    found = holder.get(name)
    if found is None:
        return
    for each in found if many else [found]:
        if rest:
            halves_left_out(each, tuple(rest), context)
        elif ("numerator" in each) != ("denominator" in each):
            each.clear()
            context.note("one part of a ratio is no amount: it was not carried")
    left = [each for each in found if each] if many else found
    if not left:
        del holder[name]
    elif many:
        holder[name] = left


def reference_to(entry: Entry) -> dict[str, str]:
    return {"reference": entry.full_url}


def reference_shown(entry: Entry) -> dict[str, str]:
    if entry.resource["resourceType"] not in SHOWN:
        return {"reference": entry.full_url}
    if entry.shown is None:
        text = display(entry).get("display")
        if text is None:  # it may get a name yet
            return {"reference": entry.full_url}
        entry.shown = text
    return {"reference": entry.full_url, "display": entry.shown}


def display(entry: Entry) -> dict[str, str]:
    """Names are shown with a reference: the report says whose it is, as the sender wrote it."""
    resource = entry.resource
    if resource["resourceType"] == "Condition":
        text = resource.get("code", {}).get("text")
        return {"display": text} if text else {}
    if resource["resourceType"] not in SHOWN:
        return {}
    name = resource.get("name")
    text = name[0].get("text") if isinstance(name, list) and name else name
    return {"display": text} if isinstance(text, str) and text else {}


def empty(resource: dict[str, Any]) -> bool:
    return len(resource) == 1


def trace(context: Context, resource: dict[str, Any], path: str, where: tuple[Segment, int], line: str) -> None:
    """One fact of lineage: (resource, element, segment, field number, map line)."""
    if context.lineage is not None:
        context.lineage.append((resource, path, *where, line))
