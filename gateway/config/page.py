"""One settings file: YAML read safely, every value with its line, every mistake collected.

Aliases are refused (nine lines of them can expand to gigabytes), and so are files over 1 MiB, nesting over 40
and a word given twice. Scalars stay text here: `shape` reads them by the type that is wanted, so that a code
`0123` or a name `NO` is what the person wrote and not octal 83 or False.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gateway import errors

SIZE_LIMIT = 1024 * 1024  # bytes of one settings file
DEPTH_LIMIT = 40

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that a person has to mend, and where."""

    file: str
    line: int  # from 1; 0 = the file or folder as a whole
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.cause}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(slots=True)
class Mistakes:
    """All mistakes of one installation, in the order of files and lines."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, file: str, line: int, cause: str, remedy: str = "") -> None:
        """Note one mistake and go on looking."""
        mistake = Mistake(file, line, cause, remedy)
        if mistake not in self.found:
            self.found.append(mistake)

    def finish(self) -> None:
        """Raise errors.Configuration with one mistake a line, when there is any."""
        if self.found:
            raise errors.Configuration("\n".join(str(mistake) for mistake in sorted(self.found)))


@dataclass(frozen=True, slots=True)
class Page:
    """The root of one file's YAML tree."""

    file: str
    root: yaml.MappingNode


def open_page(path: Path, mistakes: Mistakes) -> Page | None:
    """Read one file; None when it cannot be read as a mapping, with the reason among the mistakes."""
    file = str(path)
    text = _text(path, mistakes)
    if text is None:
        return None
    try:
        if not _harmless(file, text, mistakes):
            return None
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        cause = getattr(error, "problem", None) or "cannot be read"
        mistakes.add(file, mark.line + 1 if mark else 0, f"not YAML: {cause}", "check indentation, quotes and colons")
        return None
    if not isinstance(root, yaml.MappingNode):
        line = line_of(root) if root is not None else 0
        mistakes.add(file, line, "holds no settings", "write lines such as `id: …` and `name: …`")
        return None
    return Page(file=file, root=root)


def line_of(node: yaml.Node) -> int:
    """The line of a YAML node, from 1."""
    return int(node.start_mark.line) + 1 if node.start_mark else 0


def nearest(word: str, known: Iterable[str], *, what: str = "known words") -> str:
    """The remedy for a word that is not known: the nearest right one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    lower = {name.lower(): name for name in names}
    if word.lower() in lower:
        return f"did you mean {lower[word.lower()]!r}?"
    return f"{what}: {', '.join(names)}" if len(names) <= 20 else f"no {what} looks like it"


def _text(path: Path, mistakes: Mistakes) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        mistakes.add(str(path), 0, f"cannot be read: {error.strerror}", "check the path and the permissions")
        return None
    if len(raw) > SIZE_LIMIT:
        mistakes.add(str(path), 0, "larger than 1 MiB", "settings files are small; is this the right file?")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        mistakes.add(str(path), line, "not UTF-8", "save the file as UTF-8 (not GBK/ANSI)")
        return None


def _harmless(file: str, text: str, mistakes: Mistakes) -> bool:
    """Look at the events only (nothing is built): no alias, no deep nesting, one document."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            mistakes.add(file, line, "aliases (*name) are not read", "write the value out")
            return False
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > DEPTH_LIMIT or documents > 1:
            cause = "nested too deeply" if depth > DEPTH_LIMIT else "more than one YAML document"
            mistakes.add(file, line, cause, "one settings file holds one flat document")
            return False
    return True
