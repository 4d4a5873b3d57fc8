"""References by canonical URL, perhaps with |version, followed both ways (R4 references.html#canonical).

One that names no version means any that is here; one that names a version means no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.db.record import parameter_number
from gateway.fhir.searchparameters import SearchParameter, parameters
from gateway.model import Resource

# What refers, `f`, and what has that URL, `u`. The index holds 'url|version' as 'url', too; '}' follows '|' in UTF-8.
LINKS: Final = (
    "FROM index_uri u JOIN index_reference f ON f.parameter = ? AND f.target = u.value WHERE u.parameter = ? AND ("
    "NOT EXISTS (SELECT 1 FROM index_reference g WHERE g.parameter = f.parameter AND g.rid = f.rid "
    "AND g.target >= u.value || '|' AND g.target < u.value || '}') "
    "OR EXISTS (SELECT 1 FROM index_token v JOIN index_reference g ON g.target = u.value || '|' || v.value "
    "WHERE v.parameter = ? AND v.rid = u.rid AND g.parameter = f.parameter AND g.rid = f.rid))"
)


def leads(parameter: SearchParameter, target: str) -> bool:
    """Whether the parameter may name resources of a type by their canonical URL."""
    return parameter.canonical and target in parameter.targets and "url" in parameters(target)


def numbers(source: str, parameter: str, target: str) -> tuple[Any, ...]:
    """What the marks in LINKS stand for: the reference parameter of a source, and the type that it leads to."""
    named = parameter_number(target, "url"), parameter_number(target, "version")
    return parameter_number(source, parameter), *named


def told(resource: Resource, parameter: SearchParameter) -> list[tuple[str, str]]:
    """(URL, version or "") of every canonical that the parameter selects."""
    return [_parts(text) for text in parameter.extract(resource) if isinstance(text, str)]


def means(url: str, version: str, resource: Resource) -> bool:
    """Whether a canonical names the resource."""
    return url == resource.get("url") and version in ("", resource.get("version"))


def refers(source: Resource, parameter: SearchParameter, kept: Sequence[Resource]) -> bool:
    """Whether the parameter's canonicals name any of the resources."""
    return any(means(*names, each) for names in told(source, parameter) for each in kept)


def _parts(text: str) -> tuple[str, str]:
    url, _, version = text.partition("#")[0].partition("|")
    return url, version
