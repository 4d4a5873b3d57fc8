"""The two processes of `hutong serve`: the front, and the worker that it starts and keeps alive.

kill -9 of both          nothing is lost; the next start goes on
kill -9 of the front     the worker's standard input closes, and it ends; it never remains alone
kill -9 of the worker    the front goes on taking messages, and starts it again
SIGTERM, SIGINT          both end what is under way, in less than 10 s
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import telemetry
from gateway.app import program
from gateway.errors import Configuration

if TYPE_CHECKING:
    from gateway.app.editions import Editions
    from gateway.app.front import Front

STOPPING = 6.0  # seconds the worker may take to end by itself
PAUSES = (0.2, 1.0, 5.0)  # seconds before the worker is started again: after its first, second, third fall in a row
STEADY = 60.0  # seconds after which a fall counts as a first one
LOOK_EVERY = 1.0  # seconds between two looks whether settings or maps have changed
PATIENCE = 10.0  # seconds to wait for the worker of a front that has just died


def serve(*, config: Path | None, data: Path, http: str, mllp: str) -> None:
    """Runs the gateway until SIGTERM or SIGINT. Raises Configuration when it cannot: a setting, a port, a twin."""
    telemetry.configure(sys.stderr)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        stack.enter_context(alone(data / "lock", remedy="stop it, or choose another --data"))
        from gateway.app.rooms import METRICS

        telemetry.clear(data / METRICS)
        worker = Supervisor(config=config, data=data)
        stack.callback(worker.stop)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_front(worker, config=config, data=data, http=http, mllp=mllp))


async def _front(worker: Supervisor, *, config: Path | None, data: Path, http: str, mllp: str) -> None:
    from gateway.app.editions import Editions
    from gateway.app.front import Front
    from gateway.app.rooms import open_rooms

    stopped = asyncio.Event()
    hurry = asyncio.Event()  # SIGHUP: look for new settings now
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hurry.set)
    taken_over = threading.Event()

    def displaced() -> None:
        taken_over.set()
        _stop(loop, stopped)

    editions = Editions(config, data) if config else None
    first = editions.first() if editions else None
    if first is not None:
        config = first.path
        worker.use(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    with contextlib.closing(open_rooms(config=config, data=data, process="front")) as rooms:
        front = Front(rooms, http=http, mllp=mllp)
        if rooms.occupancy is not None:
            rooms.occupancy.keep(displaced)
        try:
            await front.start()
            worker.start()
            settle_down()
            host, port = front.http_address
            telemetry.logger().info("serving", host=host, port=port)
            watch = asyncio.create_task(_renew(editions, front, worker, hurry)) if editions and first else None
            await stopped.wait()
            if watch is not None:
                watch.cancel()
            if taken_over.is_set():
                raise Configuration("another gateway works over this database now", place="database", remedy="keep one")
        finally:
            worker.tell()
            await front.stop()


async def _renew(editions: Editions, front: Front, worker: Supervisor, hurry: asyncio.Event) -> None:
    """New settings and maps while we run: the worker starts again over them, then the front takes them between two
    messages. What is wrong is refused, and everything goes on as it was."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await hurry.wait()
        at_once = hurry.is_set()
        hurry.clear()
        try:
            edition = await asyncio.to_thread(editions.next, at_once=at_once)
        except Configuration as error:
            count = len(error.cause.splitlines())
            front.settings = {**front.settings, "problem": f"{count} mistakes in newer settings: see hutong status"}
            continue
        except OSError as error:  # a folder that is being moved: the next look sees it whole
            telemetry.logger().warning("settings not read", cause=type(error).__name__)
            continue
        if edition is not None:
            await asyncio.to_thread(worker.renew, edition.path)
            front.take(edition)  # only now: nothing that it lets in meets a worker over older maps


def work(*, config: Path | None, data: Path, fell: bool = False) -> None:
    """The worker process: runs until its standard input closes (its front is gone) or it is told to stop.

    `fell`: it is started again because the one before ended by itself.
    """
    telemetry.configure(sys.stderr)
    with alone(data / "worker.lock", remedy="stop it", patience=PATIENCE):
        asyncio.run(_back(config=config, data=data, fell=fell))


async def _back(*, config: Path | None, data: Path, fell: bool) -> None:
    from gateway.app.back import Back
    from gateway.app.rooms import open_rooms
    from gateway.app.translator import Translator

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches the whole group; the front decides
    watch = threading.Thread(target=_outlive_no_front, args=(loop, stopped), name="front", daemon=True)
    watch.start()
    with contextlib.closing(open_rooms(config=config, data=data, process="worker")) as rooms:
        translator = Translator(config=config, data=data) if (os.cpu_count() or 1) > 1 else None
        back = Back(rooms, translator, fell=fell)
        try:
            await back.start()
            settle_down()
            await stopped.wait()
        finally:
            await back.stop()


def _outlive_no_front(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Returns never: when standard input closes, the worker is asked to stop, and ended where it does not."""
    while os.read(0, 1024):
        pass
    _stop(loop, stopped)
    time.sleep(STOPPING)
    os._exit(1)


def _stop(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """From another thread."""
    with contextlib.suppress(RuntimeError):  # the loop is closed: it is stopping already
        loop.call_soon_threadsafe(stopped.set)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: the front's time goes into sockets."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def settle_down() -> None:
    """What the start made stays for good: the garbage collector need not look at it again and again (some 10 % of the
    worker's time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class Supervisor:
    """Keeps one worker process alive until it is told to stop."""

    def __init__(self, *, config: Path | None, data: Path) -> None:
        self._data = data
        self._renewed = threading.Event()  # it ends because it is to start again, over other settings
        self._arguments: list[str] = []
        self.use(config)
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # held where a worker is started or told to end
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="supervisor", daemon=True)

    @property
    def process(self) -> int | None:
        """The worker's process id."""
        return self._process.pid if self._process else None

    def use(self, config: Path | None) -> None:
        """The settings that the worker is started with from now on."""
        chosen = ["--config", str(config)] if config else []
        self._arguments = ["gateway", "work", "--data", str(self._data), *chosen]

    def renew(self, config: Path) -> None:
        """The worker has ended what was under way when this returns, and starts again over these settings."""
        with self._lock:
            self.use(config)
            process = self._process
            if process is None or self._stopping.is_set():
                return
            self._renewed.set()
            process.terminate()
        try:
            process.wait(timeout=STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def start(self) -> None:
        """Start the worker, and watch over it from now on."""
        self._spawn()
        self._thread.start()

    def tell(self) -> None:
        """Tell the worker to end; return at once."""
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                self._process.terminate()

    def stop(self) -> None:
        """The worker has ended when this returns, by itself or not."""
        self.tell()
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=STOPPING)
        self._process.kill()
        self._process.wait()
        if self._thread.is_alive():
            self._thread.join()
        if self._process.stdin:
            self._process.stdin.close()

    def _spawn(self, *more: str) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self._process = program.start(*self._arguments, *more)

    def _keep(self) -> None:
        falls = 0
        while (process := self._process) is not None and not self._stopping.is_set():
            began = time.monotonic()
            code = process.wait()
            if self._stopping.is_set():
                return
            if process.stdin:
                process.stdin.close()
            if self._renewed.is_set():
                self._renewed.clear()
                self._spawn()
                continue
            falls = 1 if time.monotonic() - began > STEADY else falls + 1
            telemetry.logger().error("worker fell", code=code, count=falls)
            self._stopping.wait(PAUSES[min(falls, len(PAUSES)) - 1])
            self._spawn("--fell")


@contextlib.contextmanager
def alone(file: Path, *, remedy: str, patience: float = 0.0) -> Iterator[None]:
    """Only one process holds this file; the system gives it back however that ends. Waits `patience` seconds for it.

    Raises Configuration when another process holds it.
    """
    deadline = time.monotonic() + patience
    with file.open("w") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise Configuration(
                        "another gateway runs over this data directory", place=str(file.parent), remedy=remedy
                    ) from None
                time.sleep(0.05)
        yield
