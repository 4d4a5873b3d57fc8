"""Places in trees, written: `DZ/XIAN`, `@XH`, `目前用药[]`; runtime.node reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_BETWEEN = "; "  # of the texts of a list, as runtime.node joins them

Tree = dict[str, Any]


def put(tree: Tree, path: str, text: str) -> None:
    """A text at a path; what lies between is made. An element that has attributes keeps its text beside them."""
    around, _, last = path.rpartition("/")
    here = _inside(tree, around)
    there = here.get(last)
    if last.endswith("[]"):
        here[last[:-2]] = text.split(_BETWEEN)
    elif isinstance(there, dict):
        there["#text"] = text
    else:
        here[last] = text


def placed(tree: Tree, path: str, node: Any) -> None:
    """A node, or a list of nodes, at a path; what stands there of a single one stays."""
    around, _, last = path.rpartition("/")
    here = _inside(tree, around)
    there = here.get(last)
    here[last] = merged(there, node) if isinstance(there, dict) and isinstance(node, dict) else node


def merged(first: Tree, second: Tree) -> Tree:
    """Both; what the first says stays."""
    return {**first, **{name: value for name, value in second.items() if name not in first}}


def ordered(tree: Tree, order: Sequence[str], before: str = "") -> Tree:
    """The names of a tree in the order of the receiver, those that it does not name behind them."""
    if not order:
        return tree

    def rank(name: str) -> int:
        place = f"{before}{name}"
        found = (
            index
            for index, each in enumerate(order)
            if each.removesuffix("[]") == place or each.startswith(f"{place}/")
        )
        return next(found, len(order))

    def inner(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [inner(name, each) for each in value]
        return ordered(value, order, f"{before}{name}/") if isinstance(value, dict) else value

    return {name: inner(name, tree[name]) for name in sorted(tree, key=rank)}


def pruned(tree: Tree, without: Sequence[str]) -> Tree:
    """The tree without what stands at these paths."""
    for path in without:
        name, _, rest = path.partition("/")
        there = tree.get(name.removesuffix("[]"))
        if not rest:
            tree.pop(name.removesuffix("[]"), None)
        for node in there if isinstance(there, list) else [there]:
            if rest and isinstance(node, dict):
                pruned(node, (rest,))
    return tree


def _inside(tree: Tree, path: str) -> Tree:
    for name in path.split("/") if path else ():
        there = tree.get(name)
        if not isinstance(there, dict):
            there = tree[name] = {} if there is None else {"#text": there}
        tree = there
    return tree
