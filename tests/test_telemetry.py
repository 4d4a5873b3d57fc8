"""Log lines keep ids and counts only; metrics count; queues show what the databases say."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway import telemetry
from gateway.model import State

NAME = "张三"
NUMBER = "110101199003077571"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    target = io.StringIO()
    telemetry.configure(target)
    yield target
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_and_ids(stream: io.StringIO) -> None:
    telemetry.logger(channel="lab").info("entry done", entry=7, state=State.DONE, seconds=0.5)
    (line,) = lines(stream)
    assert line["event"] == "entry done"
    assert line["level"] == "info"
    assert (line["channel"], line["entry"], line["state"], line["seconds"]) == ("lab", 7, "done", 0.5)
    assert str(line["timestamp"]).endswith("Z")


def test_no_body_and_no_name_gets_in(stream: io.StringIO) -> None:
    telemetry.logger(patient=NAME).warning(
        f"patient {NAME}", body=f"PID|1||{NUMBER}", name=NAME, entry={"name": NAME}, id=[NAME], code="207", cause=NUMBER
    )
    (line,) = lines(stream)
    assert set(line) == {"event", "level", "timestamp", "code"}
    assert line["event"] == "unnamed"
    assert NAME not in stream.getvalue()
    assert NUMBER not in stream.getvalue()


def test_a_long_text_is_cut(stream: io.StringIO) -> None:
    telemetry.logger().info("x", code="9" * 5000)
    assert len(str(lines(stream)[0]["code"])) == telemetry.TEXT_LIMIT


def test_a_name_that_is_no_utf_8_stands_in_the_log_all_the_same(stream: io.StringIO) -> None:
    telemetry.logger().info("refused", place=b"\xb1\xa8\xb8\xe6.csv".decode(errors="surrogateescape"))
    assert str(lines(stream)[0]["place"]).endswith(".csv")


def test_other_libraries_say_who_and_which_error_only(stream: io.StringIO) -> None:
    try:
        raise ValueError(NAME)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("failed for %s", NAME)
    logging.getLogger("httpx").info("GET /fhir/Patient?name=%s", NAME)
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["error"]) == ("library", "uvicorn.error", "ValueError")
    assert NAME not in stream.getvalue()


def test_a_line_that_cannot_be_written_stops_nobody() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    telemetry.configure(Full())
    telemetry.logger().error("work failed", entry=1)
    closed = io.StringIO()
    telemetry.configure(closed)
    closed.close()
    telemetry.logger().error("work failed", entry=1)


def test_counters_and_histograms() -> None:
    metrics = telemetry.Metrics()
    metrics.received("lab")
    metrics.accepted("lab", seconds=0.003)
    metrics.refused("lab", code="AE")
    metrics.processed(State.PARKED, seconds=0.02)
    metrics.delivered("township", outcome="sent", seconds=0.1)
    metrics.requested("/fhir/{type}", method="GET", status=200, seconds=0.001)
    text = metrics.exposition().decode()
    assert 'hutong_messages_received_total{channel="lab"} 1.0' in text
    assert 'hutong_messages_refused_total{channel="lab",code="AE"} 1.0' in text
    assert 'hutong_entries_total{state="parked"} 1.0' in text
    assert 'hutong_deliveries_total{outcome="sent",subscription="township"} 1.0' in text
    assert 'hutong_acknowledgement_seconds_bucket{channel="lab",le="0.005"} 1.0' in text
    assert 'hutong_acknowledgement_seconds_bucket{channel="lab",le="0.0025"} 0.0' in text


def test_two_sets_of_metrics_do_not_share() -> None:
    first, second = telemetry.Metrics(), telemetry.Metrics()
    first.received("lab")
    assert b"lab" not in second.exposition()


def test_queues_come_from_what_the_databases_say() -> None:
    depth = telemetry.Depth(queue="intake", line="lab", counts={"waiting": 3, "parked": 1}, oldest_seconds=42.0)
    text = telemetry.Metrics().exposition(lambda: [depth]).decode()
    assert 'hutong_queue_depth{line="lab",queue="intake",state="waiting"} 3.0' in text
    assert 'hutong_queue_oldest_seconds{line="lab",queue="intake"} 42.0' in text


def test_processes_tell_each_other_what_they_counted(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    front, worker = telemetry.Metrics(folder), telemetry.Metrics(folder, "worker")
    front.received("lab")
    worker.processed("done", seconds=0.01)
    worker.share()
    worker.share()  # nothing new: not written again
    text = front.exposition().decode()
    assert 'hutong_messages_received_total{channel="lab"} 1.0' in text
    assert 'hutong_entries_total{state="done"} 1.0' in text
    announced = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(announced) == len(set(announced))  # a family that is announced twice is an error to many readers
    telemetry.clear(folder)
    assert not folder.exists()
    assert b"hutong_entries" not in front.exposition()


def test_a_full_disk_only_keeps_the_counters_of_before(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    worker = telemetry.Metrics(folder, "worker")
    worker.processed("done", seconds=0.01)
    folder.write_text("in the way")
    worker.share()
    folder.unlink()
    worker.share()
    assert b'hutong_entries_total{state="done"} 1.0' in telemetry.Metrics(folder).exposition()
