"""What differs on Windows, with the calls that Windows would get.

Windows itself is not here: these tests simulate it, and record what would be called.
"""

from __future__ import annotations

import errno
import io
import re
import signal
import sys

import psutil
import pytest

from rtrecon.core import operating_system
from rtrecon.core.files import write_atomically
from rtrecon.core.process import call_on_signals
from rtrecon.transport.keys import _require_private
from rtrecon.transport.sockets import explain_bind_error
from tests.support.paths import REPOSITORY

SIGBREAK = 21  # its number on Windows


@pytest.fixture
def windows(monkeypatch):
    """Make this system look like Windows."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(signal, "SIGBREAK", SIGBREAK, raising=False)
    monkeypatch.setattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 16384, raising=False)
    monkeypatch.setattr(psutil, "IDLE_PRIORITY_CLASS", 64, raising=False)


class FakeProcess:
    """Records the priorities that it gets."""

    def __init__(self, priority: int) -> None:
        self.priorities = [priority]

    def nice(self, value: int | None = None) -> int | None:
        if value is None:
            return self.priorities[-1]
        self.priorities.append(value)
        return None


def lower(priority: int, is_lowest: bool) -> int:
    process = FakeProcess(priority)
    operating_system.set_low_priority(process, is_lowest)
    return process.priorities[-1]


def test_windows_gets_priority_classes(windows):
    assert lower(32, is_lowest=False) == 16384
    assert lower(32, is_lowest=True) == 64
    assert lower(64, is_lowest=False) == 64  # lower already


def test_other_systems_get_nice_values(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert lower(0, is_lowest=False) == 10
    assert lower(0, is_lowest=True) == 19
    assert lower(15, is_lowest=False) == 15


def test_closing_the_console_of_windows_stops_a_process_in_order(windows, monkeypatch):
    handlers: dict[int, object] = {}

    def set_handler(number: int, handler: object) -> object:
        return handlers.update({int(number): handler}) or "before"

    monkeypatch.setattr(signal, "signal", set_handler)
    calls: list[str] = []
    with call_on_signals(lambda: calls.append("stop")):
        handlers[SIGBREAK](SIGBREAK, None)
    assert calls == ["stop"]
    assert set(handlers) == {signal.SIGINT, signal.SIGTERM, SIGBREAK}
    assert set(handlers.values()) == {"before"}


def test_a_file_that_windows_does_not_replace_at_once_is_replaced_later(
    windows, monkeypatch, tmp_path
):
    path, n_refused = tmp_path / "file.txt", 0
    replace = type(path).replace

    def refuse_twice(self, target):
        nonlocal n_refused
        if n_refused < 2:
            n_refused += 1
            raise PermissionError("another program uses the file")
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", refuse_twice)
    monkeypatch.setattr("rtrecon.core.files._REPLACE_RETRY_DELAY_S", 0.0)
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert n_refused == 2


def test_other_systems_report_at_once_that_a_file_cannot_be_replaced(
    monkeypatch, tmp_path
):
    n_attempts = 0

    def refuse(self, target):
        nonlocal n_attempts
        n_attempts += 1
        raise PermissionError("no")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(type(tmp_path), "replace", refuse)
    with pytest.raises(PermissionError):
        write_atomically(tmp_path / "file.txt", "new")
    assert n_attempts == 1


def test_windows_asks_for_no_permission_bits(windows, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("x")
    secret.chmod(0o644)
    _require_private(secret)
    assert not operating_system.is_readable_by_others(secret)


@pytest.mark.parametrize(
    ("system", "number", "is_closed"),
    [
        ("win32", errno.EINVAL, True),
        ("linux", errno.EINVAL, False),
        ("win32", errno.ENOSPC, False),
        ("linux", errno.EPIPE, True),
    ],
)
def test_a_closed_pipe_is_recognized(monkeypatch, system, number, is_closed):
    monkeypatch.setattr(sys, "platform", system)
    assert operating_system.is_pipe_closed(OSError(number, "")) is is_closed


@pytest.mark.parametrize("number", [errno.EACCES, 10013])
def test_a_port_that_the_system_reserves_is_explained(number):
    error = explain_bind_error("tcp://127.0.0.1:5560", OSError(number, "forbidden"))
    assert "excludedportrange" in str(error)
    assert "choose another port" in str(error)


@pytest.mark.parametrize(
    ("system", "environment", "expected"),
    [
        ("win32", {}, True),
        ("darwin", {}, True),
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
    ],
)
def test_only_linux_may_have_no_screen(monkeypatch, system, environment, expected):
    monkeypatch.setattr(sys, "platform", system)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert operating_system.has_screen() is expected


def test_a_character_that_the_console_lacks_does_not_end_the_program():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with pytest.raises(UnicodeEncodeError):
        stream.write("5 µm → λ")
    operating_system.allow_all_characters(stream)
    stream.write("5 µm → λ")
    stream.flush()
    assert stream.buffer.getvalue().decode("cp1252") == "5 µm ? ?"
    operating_system.allow_all_characters(io.StringIO())  # has no encoding


def test_settings_from_another_process_are_read_as_utf8(monkeypatch):
    console = io.TextIOWrapper(io.BytesIO("C:/Müller/µ".encode()), encoding="cp1252")
    monkeypatch.setattr(sys, "stdin", console)
    assert operating_system.read_input_as_utf8() == "C:/Müller/µ"


def test_no_other_module_asks_for_the_operating_system():
    pattern = re.compile(r"sys\.platform|os\.name\b|psutil\.WINDOWS|platform\.system")
    asking = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "rtrecon").rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    # A recording says on which system it was made.
    described = {"rtrecon/session/provenance.py"}
    assert asking - described == {"rtrecon/core/operating_system.py"}
