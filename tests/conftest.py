"""For every test: free ports, the real recordings, and a guard against leaks."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import psutil
import pytest
import zmq
from filelock import FileLock

from tests.support.paths import TEST_DATA

SHARED_DATA = TEST_DATA
UNIT_TESTS = Path(__file__).parent / "unit"

# Linear algebra libraries read this when they are first imported, which is after this
# file. Their second thread waits in a loop, and so takes the core of the other worker.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Threads that libraries keep for the life of the process, by the start of their name.
LIBRARY_THREADS = ("zarr_io", "asyncio_", "pytest_timeout")
GRACE_S = 90.0  # for what gives way to everything else on a busy machine

# Importing all tests makes millions of objects that live to the end. The garbage
# collector would go through them again and again, and find nothing.
gc.disable()


def pytest_collection_finish() -> None:
    """Exempt what the import made from garbage collection, and switch it on again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure the coverage of unit tests only.

    Measuring slows Python down by half, and the processes that other tests start are
    not measured anyway.
    """
    is_unit_test = UNIT_TESTS in item.path.parents
    measured = None if is_unit_test else coverage.Coverage.current()
    if measured is None:
        return (yield)
    measured.stop()
    try:
        return (yield)
    finally:
        measured.start()


@pytest.fixture
def free_address() -> Callable[[], str]:
    """A function that returns a loopback address nobody listens on."""

    def find() -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{probe.getsockname()[1]}"

    return find


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings, which are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real recordings at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def _contexts() -> Iterator[weakref.WeakSet[zmq.Context]]:
    """Every ZeroMQ context ever made in the tests, as long as it lives."""
    made: weakref.WeakSet[zmq.Context] = weakref.WeakSet()
    original = zmq.Context.__init__

    def remember(self: zmq.Context, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        made.add(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zmq.Context, "__init__", remember)
        yield made


@pytest.fixture(autouse=True)
def _nothing_left_running(_contexts: weakref.WeakSet[zmq.Context]) -> Iterator[None]:
    """Fail a test that leaves a thread, a process or a ZeroMQ context behind."""
    before = set(_running(_contexts))
    yield
    deadline = time.monotonic() + GRACE_S
    pause_s = 0.01
    while (left := set(_running(_contexts)) - before) and time.monotonic() < deadline:
        time.sleep(pause_s)  # longer and longer: a look reads all processes
        pause_s = min(1.5 * pause_s, 0.2)
    assert not left, f"left running: {sorted(left)}"


def _running(contexts: weakref.WeakSet[zmq.Context]) -> Iterator[str]:
    for thread in threading.enumerate():
        if not thread.name.startswith(LIBRARY_THREADS):
            yield f"thread {thread.name} ({thread.ident})"
    for child in _list_children():
        with contextlib.suppress(psutil.NoSuchProcess):
            # multiprocessing keeps one helper for as long as Python runs.
            if "resource_tracker" not in " ".join(command := child.cmdline()):
                yield f"process {child.pid}: {' '.join(command)}"
    for context in contexts:
        if not context.closed:
            yield f"ZeroMQ context {id(context):#x}"


def _list_children() -> list[psutil.Process]:
    """Child processes and theirs; psutil reads all processes, so only if any exist."""
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
    return psutil.Process().children(recursive=True)


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The path of an encoder of a small simulated mouse; see `small_world`.

    Whichever worker needs it first trains it, the others wait for that one.
    """
    from tests.support import (
        trained_encoder,  # brings torch, which most tests do without
    )

    folder = tmp_path_factory.getbasetemp()
    common = folder if worker_id == "master" else folder.parent
    path = common / "small.safetensors"
    with FileLock(path.with_suffix(".lock")):
        return path if path.exists() else trained_encoder.train_small(path)
