"""Compiles the FHIRPath subset that R4 search parameters use, against the definitions (R4 fhirpath.html, search.html).

Paths, unions, `where(…)`, `as`, `ofType`, `resolve() is X` judged by the reference's own text, `extension(url)`,
`[0]` and `X.exists() and X != false`. An expression becomes branches: one for each member of the union and each type
of a choice, so that the type at the end of each branch is known before any resource is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from gateway import errors
from gateway.fhir import definitions, reference
from gateway.fhir.definitions import Element

Keeps = Callable[[Any, Any], bool]  # (value, resource) → is it kept
Compute = Callable[[Any], Any]  # resource → one value


@dataclass(frozen=True, slots=True)
class Step:
    """Into one JSON member."""

    key: str
    many: bool
    keeps: tuple[Keeps, ...] = ()
    first_only: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """A way through a resource to values of one type."""

    steps: tuple[Step, ...]
    type: str  # FHIR type of the values; 'BackboneElement' for an inline structure
    inside: str  # path of the children, "" for a primitive
    targets: tuple[str, ...] = ()  # of a Reference
    binding: str = ""  # ValueSet of a code
    compute: Compute | None = None  # instead of steps: computed from the whole resource
    from_root: bool = False  # starts at the whole resource (%resource), whatever the context is

    def values(self, item: Any, resource: Any) -> list[Any]:
        """What this branch finds under `item`; `resource` is the whole, for contained references."""
        if self.compute is not None:
            return [self.compute(item)]
        found = [resource if self.from_root else item]
        for step in self.steps:
            found = [inner for each in found for inner in _into(step, each, resource)]
        return found


def _into(step: Step, item: Any, resource: Any) -> Sequence[Any]:
    inner = item.get(step.key)
    if inner is None:
        return ()
    values = inner if step.many else [inner]
    if step.first_only:
        values = values[:1]
    return [each for each in values if each is not None and all(keeps(each, resource) for keeps in step.keeps)]


def branches_of(expression: str, context: str) -> list[Branch]:
    """The branches of an expression on a type or path ('Observation', 'Observation.component').

    Configuration for what this compiler does not know.
    """
    parser = _Parser(expression, Branch(steps=(), type=context, inside=context))
    found = parser.union()
    if parser.peek():
        parser.fail()
    return found


def opened(branch: Branch) -> list[Branch]:
    """An expression may end at an extension: its value is meant, in each type that it can have."""
    return _into_member([branch], "value") if branch.type == "Extension" else [branch]


_TOKEN = re.compile(r"'[^']*'|%?[A-Za-z_]\w*|\d+|!=|[.()\[\]|=]|\S")  # the last: anything else, refused later


class _Parser:
    """One expression, read once from left to right; what is found so far is a list of branches."""

    def __init__(self, expression: str, start: Branch) -> None:
        self._expression = expression
        self._start = start
        self._tokens = _TOKEN.findall(expression)
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            self.fail()

    def fail(self) -> NoReturn:
        raise errors.Configuration(
            "this search expression is not understood",
            place=f"{self._expression} at {self.peek() or 'its end'!r}",
            remedy="use paths, where(), as and ofType",
        )

    def union(self) -> list[Branch]:
        found = self._conjunction()
        while self.peek() == "|":
            self._next()
            found = found + self._conjunction()
        return found

    def _conjunction(self) -> list[Branch]:
        found = self._narrowed()
        if self.peek() != "and":
            return found
        # The one conjunction of R4: Patient.deceased.exists() and Patient.deceased != false
        self._next()
        right = self._narrowed()
        self._expect("!=")
        self._expect("false")
        return [Branch(steps=(), type="boolean", inside="", compute=_true_unless_false(right))]

    def _narrowed(self) -> list[Branch]:
        found = self._path()
        if self.peek() in ("as", "is"):
            self._next()
            found = _of_type(found, self._next())
        return found

    def _path(self) -> list[Branch]:
        if self.peek() == "(":
            self._next()
            found = self.union()
            self._expect(")")
        else:
            found = self._first(self._next())
        while self.peek() in (".", "["):
            found = self._first_only(found) if self._next() == "[" else self._after_dot(found)
        return found

    def _first(self, word: str) -> list[Branch]:
        if word == "%resource":
            root = self._start.type.partition(".")[0]
            return [Branch(steps=(), type=root, inside=root, from_root=True)]
        if word in (self._start.type, "Resource", "DomainResource"):
            return [self._start]
        return self._call([self._start], word) if self.peek() == "(" else _into_member([self._start], word)

    def _after_dot(self, found: list[Branch]) -> list[Branch]:
        word = self._next()
        return self._call(found, word) if self.peek() == "(" else _into_member(found, word)

    def _first_only(self, found: list[Branch]) -> list[Branch]:
        self._expect("0")
        self._expect("]")
        return [replace(each, steps=(*each.steps[:-1], replace(each.steps[-1], first_only=True))) for each in found]

    def _call(self, found: list[Branch], word: str) -> list[Branch]:
        self._expect("(")
        match word:
            case "where":
                made = self._where(found)
            case "as" | "ofType":
                made = _of_type(found, self._next())
            case "extension":
                url = self._next().strip("'")
                made = [_kept(each, _has("url", url)) for each in _into_member(found, "extension")]
            case "exists":
                made = found
            case _:
                self.fail()
        self._expect(")")
        return made

    def _where(self, found: list[Branch]) -> list[Branch]:
        word = self._next()
        if word == "resolve":
            self._expect("(")
            self._expect(")")
            self._expect("is")
            return _resolving(found, self._next())
        if word == "hasExtension":
            self._expect("(")
            url = self._next().strip("'")
            self._expect(")")
            return [_kept(each, _has_extension(url)) for each in found]
        self._expect("=")
        wanted = self._next().strip("'")
        return [_kept(each, _has(word, wanted)) for each in found]


# -------------------------------------------------------------------------------------------- branches


def _into_member(found: list[Branch], name: str) -> list[Branch]:
    made = []
    for branch in found:
        below = definitions.children(branch.inside) if branch.inside else {}
        if name in below:
            made.append(_stepped(branch, below[name]))
        elif f"{name}[x]" in below:
            choice = below[f"{name}[x]"]
            made += [_stepped(branch, definitions.one_type(choice, each)) for each in choice.types]
    if not made:
        raise errors.Configuration(
            f"FHIR R4 has no element {name!r} here",
            place=found[0].inside or found[0].type,
            remedy="mend the expression",
        )
    return made


def _stepped(branch: Branch, element: Element) -> Branch:
    step = Step(key=element.name, many=element.many)
    steps = (*branch.steps, step)
    kind, binding = element.types[0], element.binding
    return replace(branch, steps=steps, type=kind, inside=element.inside, targets=element.targets, binding=binding)


def _of_type(found: list[Branch], type_name: str) -> list[Branch]:
    # Observation's code-value-date says DateTime and means dateTime
    return [each for each in found if type_name in (each.type, each.type[:1].upper() + each.type[1:])]


def _kept(branch: Branch, keeps: Keeps) -> Branch:
    last = branch.steps[-1]
    return replace(branch, steps=(*branch.steps[:-1], replace(last, keeps=(*last.keeps, keeps))))


def _resolving(found: list[Branch], type_name: str) -> list[Branch]:
    """`where(resolve() is X)`: nothing to ask where the element may point at nothing else."""
    return [
        replace(each, targets=(type_name,))
        if each.targets == (type_name,)
        else _kept(replace(each, targets=(type_name,)), _points_at(type_name))
        for each in found
    ]


# --------------------------------------------------------------------------------------------- filters


def _has(name: str, wanted: str) -> Keeps:
    return lambda value, resource: value.get(name) == wanted


def _has_extension(url: str) -> Keeps:
    return lambda value, resource: any(each.get("url") == url for each in value.get("extension", ()))


def _points_at(type_name: str) -> Keeps:
    prefix = f"{type_name}/"

    def keeps(value: Any, resource: Any) -> bool:
        text = value.get("reference", "")
        return bool(text.startswith(prefix)) or (target_type(value, resource) == type_name)

    return keeps


def target_type(value: Any, resource: Any) -> str:
    """The resource type that a reference means, by its text, its `type` or the contained resource; "" = unknown."""
    text = value.get("reference", "")
    literal = reference.parse(text)
    if literal is not None:
        return literal.type
    if text.startswith("#"):
        contained = resource.get("contained", ())
        return next((str(each.get("resourceType")) for each in contained if each.get("id") == text[1:]), "")
    named = value.get("type") or text.partition("?")[0]
    return str(named).rpartition("/")[2] if not text.startswith("urn:") or value.get("type") else ""


def _true_unless_false(branches: list[Branch]) -> Compute:
    def compute(resource: Any) -> bool:
        found = [value for branch in branches for value in branch.values(resource, resource)]
        return bool(found) and found[0] is not False

    return compute
