"""Counters and structured log lines: ids, counts, states and codes; never a message body, never a name.

A log line keeps only the keys of KEYS, an event is a fixed word, and a long text is cut: what is not on the list
cannot get in, whatever a caller passes. Lines of other libraries keep their fixed template, never its values.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec
import structlog

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client.metrics_core import Metric

KEYS = (
    frozenset({"timestamp", "level", "event", "logger", "process", "signal"})
    | frozenset({"community", "member", "channel", "subscription", "entry", "entries", "delivery", "deliveries"})
    | frozenset({"transaction", "type", "id", "version", "state", "attempts", "code", "kind", "format", "charset"})
    | frozenset({"seconds", "milliseconds", "count", "total", "bytes", "depth", "age", "due", "token"})
    | frozenset({"host", "port", "client", "method", "route", "status", "error", "place"})
    | frozenset({"trouble"})  # cause and remedy of a line that looks into no message: a folder, a server
)
TEXT_LIMIT = 120  # characters of one value
_EVENT = re.compile(r"[a-z][a-z0-9 _.-]{0,59}")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send all log lines, ours and the libraries', to `stream` (stderr) as JSON, one object a line."""
    target = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Lines(target))),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Library()]
    root.setLevel(logging.WARNING)


def _json(line: object, **_: object) -> str:
    try:
        return msgspec.json.encode(line).decode()
    except UnicodeEncodeError:  # the name of a file that is no UTF-8
        return json.dumps(line)


@dataclass(frozen=True, eq=False)
class _Lines:
    """Where log lines go. One that cannot be written (a full disk, a closed pipe) is dropped: work goes on."""

    stream: TextIO

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self.stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()


def logger(**bound: Any) -> Any:
    """A logger; `bound` goes into each of its lines."""
    return structlog.get_logger(**bound)


def keep_allowed(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The structlog processor that drops keys that are not on the list and values that are not small and flat."""
    kept = {key: _flat(value) for key, value in line.items() if key in KEYS}
    event = kept.get("event")
    if not (isinstance(event, str) and _EVENT.fullmatch(event)):
        kept["event"] = "unnamed"
    return {key: value for key, value in kept.items() if value is not None}


def _flat(value: Any) -> str | int | float | bool | None:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)[:TEXT_LIMIT]  # str(): a StrEnum by its value
    return None


class _Library(logging.Handler):
    """Lines of uvicorn and the like: who, how grave, which error class. Their texts may quote what they were given."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().log(record.levelno, "library", logger=record.name, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """One queue as the databases show it when asked: how much stands where, and how long the oldest waits."""

    queue: str  # intake | delivery
    line: str  # channel or subscription id
    counts: Mapping[str, int]  # state → rows
    oldest_seconds: float = 0.0  # age of the oldest that waits


@dataclass(slots=True)
class Metrics:
    """All metrics of one process. `folder` is where the processes of one gateway leave theirs for each other.

    No memory map of a file: on a full disk that ends a process (SIGBUS), and it must go on taking messages.
    """

    folder: Path | None = None
    process: str = "front"  # its name in the folder
    registry: CollectorRegistry = field(init=False)
    _families: dict[str, Any] = field(init=False, default_factory=dict)
    _requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = field(init=False, default_factory=dict)
    _shared: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        for name, text, labels in _COUNTERS:
            self._families[name] = Counter(f"hutong_{name}", text, labels, registry=self.registry)
        for name, text, labels in _HISTOGRAMS:
            self._families[name] = Histogram(
                f"hutong_{name}_seconds", text, labels, registry=self.registry, buckets=_BUCKETS
            )

    def received(self, channel: str) -> None:
        """A frame arrived on a channel."""
        self._families["messages_received"].labels(channel).inc()

    def accepted(self, channel: str, *, seconds: float) -> None:
        """A frame is written down and acknowledged; `seconds` from the last byte read to the answer."""
        self._families["messages_accepted"].labels(channel).inc()
        self._families["acknowledgement"].labels(channel).observe(seconds)

    def refused(self, channel: str, *, code: str) -> None:
        """A frame was answered with AE, AR, CE, CR or an HTTP error."""
        self._families["messages_refused"].labels(channel, code).inc()

    def filed(self, channel: str, outcome: str) -> None:
        """A file was taken, refused or failed (it is tried again), or a channel's folder could not be read (away)."""
        self._families["files"].labels(channel, outcome).inc()

    def processed(self, state: str, *, seconds: float) -> None:
        """The worker left an entry in this state: done, parked, dead, waiting (to be tried again)."""
        self._families["entries"].labels(state).inc()
        self._families["processing"].labels(state).observe(seconds)

    def delivered(self, subscription: str, *, outcome: str, seconds: float) -> None:
        """A delivery was tried: outcome sent, later, parked or dead."""
        self._families["deliveries"].labels(subscription, outcome).inc()
        self._families["delivery"].labels(subscription).observe(seconds)

    def requested(self, route: str, *, method: str, status: int, seconds: float) -> None:
        """The web door answered; `route` is the pattern, never the address that was typed."""
        counter, histogram = self._of_requests(route, method, status)
        counter.inc()
        histogram.observe(seconds)

    def _of_requests(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        found = self._requests.get((route, method, status))
        if found is None:
            found = (
                self._families["requests"].labels(route, method, str(status)),
                self._families["request"].labels(route),
            )
            self._requests[route, method, status] = found
        return found

    def share(self) -> None:
        """Leave what this process counted in the folder. A disk that is full keeps the text before."""
        text = self._own()
        if self.folder is None or text == self._shared:
            return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f"{self.process}.part"
            part.write_bytes(text)
            part.replace(self.folder / f"{self.process}.prom")
            self._shared = text

    def exposition(self, depths: Callable[[], Iterable[Depth]] | None = None) -> bytes:
        """Everything in the Prometheus text format 0.0.4, with what others have shared; `depths` is asked once."""
        from prometheus_client import CollectorRegistry, generate_latest

        texts = [self._own(), *self._others()]
        if depths is not None:
            queues = CollectorRegistry()
            queues.register(_Queues(list(depths())))
            texts.append(generate_latest(queues))
        return b"".join(texts)

    def _own(self) -> bytes:
        """Only families that were used: each is counted in one process, and must not be announced by two."""
        from prometheus_client import CollectorRegistry, generate_latest

        used = CollectorRegistry()
        used.register(_Used(self.registry))
        return generate_latest(used)

    def _others(self) -> list[bytes]:
        texts = []
        for path in sorted(self.folder.glob("*.prom")) if self.folder else ():
            if path.stem != self.process:
                with suppress(OSError):
                    texts.append(path.read_bytes())
        return texts


def clear(folder: Path) -> None:
    """Forget what processes of an earlier run left in a shared folder; call it before any of them starts."""
    shutil.rmtree(folder, ignore_errors=True)


_COUNTERS = (
    ("messages_received", "Frames that arrived", ("channel",)),
    ("messages_accepted", "Frames written down and acknowledged", ("channel",)),
    ("messages_refused", "Frames answered with an error", ("channel", "code")),
    ("files", "Files picked up, by outcome; away: looks at a folder or server that failed", ("channel", "outcome")),
    ("entries", "Entries worked on, by the state they were left in", ("state",)),
    ("deliveries", "Deliveries tried, by outcome", ("subscription", "outcome")),
    ("requests", "Requests answered by the web door", ("route", "method", "status")),
)
_HISTOGRAMS = (
    ("acknowledgement", "From the last byte read to the acknowledgement", ("channel",)),
    ("processing", "Translating and storing one entry", ("state",)),
    ("delivery", "One attempt to deliver", ("subscription",)),
    ("request", "One request at the web door", ("route",)),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Used:
    """A prometheus collector over another registry's families that hold a sample."""

    registry: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        return (family for family in self.registry.collect() if family.samples)


@dataclass(frozen=True, slots=True, eq=False)
class _Queues:
    """A prometheus collector over depths that were read from the databases."""

    depths: list[Depth]

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        labels = ("queue", "line", "state")
        depth = GaugeMetricFamily("hutong_queue_depth", "Rows by queue, line and state", labels=labels)
        oldest = GaugeMetricFamily("hutong_queue_oldest_seconds", "Age of the oldest that waits", labels=labels[:2])
        for queue in self.depths:
            for state, count in sorted(queue.counts.items()):
                depth.add_metric((queue.queue, queue.line, state), count)
            oldest.add_metric((queue.queue, queue.line), queue.oldest_seconds)
        yield depth
        yield oldest
