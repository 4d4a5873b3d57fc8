"""Any clause of a search as a condition: criteria, chains, what refers here, compartments (R4 search.html#chaining)."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from typing import Any

from gateway.db.record import parameter_number
from gateway.store import canonicals
from gateway.store.clause import Chain, Clause, Criterion, Has, Inside
from gateway.store.columns import columns
from gateway.store.condition import Condition, either
from gateway.store.criteria import compiled


def condition(each: Clause) -> Condition:
    """Any clause as SQL about a resource row `r`."""
    match each:
        case Inside():
            return either([compiled(criterion) for criterion in each.criteria])
        case Chain():
            return _chain(each)
        case Has():
            return _has(each)
        case Criterion():
            return compiled(each)


def _inner(type: str, clause: Clause, column: str) -> tuple[str, tuple[Any, ...]]:
    """`column` of the resources of a type that fulfil a clause."""
    found = condition(clause)
    head = f"SELECT {column} FROM resource r WHERE r.deleted = 0 AND "
    if found.inside:
        return f"{head}r.rid IN ({found.inside})", found.inside_values
    return f"{head}r.type = ? AND {found.probe}", (type, *found.probe_values)


def _chain(chain: Chain) -> Condition:
    own = columns(chain.type)
    found = []
    for kind, clause in chain.targets:
        if kind == "Patient" and chain.parameter.name in own.patient:
            inner, values = _inner(kind, clause, "coalesce(r.survivor, r.id)")
            inside = f"SELECT o.rid FROM resource o WHERE o.type = ? AND o.patient IN ({inner})"
            found.append(Condition(f"r.patient IN ({inner})", values, inside, (chain.type, *values), 1))
        else:
            inner, values = _inner(kind, clause, f"'{kind}/' || coalesce(r.survivor, r.id)")
            number = parameter_number(chain.type, chain.parameter.name)
            inside = f"SELECT rid FROM index_reference WHERE parameter = ? AND target IN ({inner})"
            found.append(Condition(f"r.rid IN ({inside})", (number, *values), inside, (number, *values), 1))
            if canonicals.leads(chain.parameter, kind):
                found.append(_canonical(chain, kind, clause))
    return either([*found, *map(condition, chain.contained)])


def _canonical(chain: Chain, kind: str, clause: Clause) -> Condition:
    inner, values = _inner(kind, clause, "r.rid")
    inside = f"SELECT f.rid {canonicals.LINKS} AND u.rid IN ({inner})"
    values = (*canonicals.numbers(chain.type, chain.parameter.name, kind), *values)
    return Condition(f"r.rid IN ({inside})", values, inside, values, 1)


def _has(has: Has) -> Condition:
    own = columns(has.source)
    if has.type == "Patient" and has.parameter.name in own.patient:
        inner, values = _inner(has.source, has.inner, "r.patient")
        inside = f"SELECT o.rid FROM resource o WHERE o.type = 'Patient' AND o.id IN ({inner})"
    else:
        inner, values = _inner(has.source, has.inner, "r.rid")
        number = parameter_number(has.source, has.parameter.name)
        inside = (
            "SELECT o.rid FROM index_reference f JOIN resource o ON o.type = ? AND f.target = o.type || '/' || o.id "
            f"WHERE f.parameter = ? AND f.rid IN ({inner})"
        )
        if canonicals.leads(has.parameter, has.type):
            inside += f" UNION ALL SELECT u.rid {canonicals.LINKS} AND f.rid IN ({inner})"
            values = (*values, *canonicals.numbers(has.source, has.parameter.name, has.type), *values)
        values = (has.type, number, *values)
    return Condition(f"r.rid IN ({inside})", values, inside, values, 1)
