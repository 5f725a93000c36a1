"""Lines out of the computer: real ports where a system has pretended ones."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import pytest
import serial

from rtrecon.closed_loop.outputs import Lsl, NiDaq, Serial
from rtrecon.config import LslSettings, NiDaqSettings, SerialSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

EVENT = messages.Event(session="s", seq=0, t=1.0, name="react", rule="lost")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_byte_leaves_by_the_port():
    box, port = os.openpty()
    output = Serial(SerialSettings(port=os.ttyname(port), byte=42))
    try:
        output.open()
        output.open()  # twice is no mistake
        output.fire(EVENT)
        assert os.read(box, 10) == b"*"
        output.fire(EVENT)
        assert os.read(box, 10) == b"*"
    finally:
        output.close()
        output.close()
        os.close(box)
        os.close(port)


class Levels(SimpleNamespace):
    """A port that notes what its lines were set to, and when."""

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments, told=[], opened=False)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("rts", "dtr"):
            self.told.append((name, value, time.monotonic()))

    def open(self) -> None:
        self.opened = True

    def close(self) -> None:
        self.opened = False


@pytest.mark.parametrize("line", ["rts", "dtr"])
def test_a_line_is_low_from_the_first_and_pulsed(monkeypatch, line):
    ports = []

    def made(url: str, **arguments: object) -> Levels:
        ports.append(Levels(url=url, **arguments))
        return ports[-1]

    # No system pretends the lines of a port, so here the port itself is pretended.
    monkeypatch.setattr(serial, "serial_for_url", made)
    output = Serial(SerialSettings(port="COM3", signal=line, pulse_ms=20))
    output.open()
    [port] = ports
    assert (port.url, port.opened) == ("COM3", True)
    output.fire(EVENT)
    assert [(name, value) for name, value, _ in port.told] == [
        (line, False),
        (line, True),
        (line, False),
    ]
    assert port.told[2][2] - port.told[1][2] >= 0.02
    output.close()
    assert not port.opened


def test_a_line_can_be_pulsed_with_a_port_of_pyserial():
    output = Serial(SerialSettings(port="loop://", signal="rts", pulse_ms=1))
    output.open()
    output.fire(EVENT)
    output.close()


def test_a_port_that_is_not_there_says_so():
    output = Serial(SerialSettings(port="no_such_port"))
    with pytest.raises(OSError, match="no_such_port"):
        output.open()
    output.close()


def test_markers_are_heard_by_others():
    pylsl = pytest.importorskip("pylsl")
    output = Lsl(LslSettings(stream=f"rtrecon-test-{os.getpid()}"))
    output.open()
    inlet = None
    try:
        name = f"rtrecon-test-{os.getpid()}"
        found = pylsl.resolve_byprop("name", name, timeout=10)
        if not found:
            pytest.skip("this machine's network hides LSL's streams")
        inlet = pylsl.StreamInlet(found[0])
        inlet.open_stream(timeout=10)
        output.fire(EVENT)
        sample, _ = inlet.pull_sample(timeout=10)
        assert sample == ["lost"]
        assert found[0].type() == "Markers"
    finally:
        if inlet is not None:
            inlet.close_stream()
        output.close()


class Task:
    """What the driver of National Instruments offers, as far as it is used."""

    made: list[Task] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.told: list[object] = []
        self.do_channels = SimpleNamespace(add_do_chan=self.told.append)
        self.write = self.told.append
        self.closed = False
        Task.made.append(self)

    def close(self) -> None:
        self.closed = True


def test_a_digital_line_is_low_from_the_first_and_pulsed(monkeypatch):
    monkeypatch.setitem(sys.modules, "nidaqmx", SimpleNamespace(Task=Task))
    output = NiDaq(NiDaqSettings(line="Dev1/port0/line0", pulse_ms=1))
    output.open()
    output.fire(EVENT)
    output.close()
    [task] = Task.made
    assert task.told == ["Dev1/port0/line0", False, True, False]
    assert task.closed


def test_a_library_that_is_not_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "nidaqmx", None)
    with pytest.raises(UserError, match=r"pip install 'rtrecon\[nidaq\]'"):
        NiDaq(NiDaqSettings(line="Dev1/port0/line0")).open()
