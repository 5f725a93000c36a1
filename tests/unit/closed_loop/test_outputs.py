"""Outputs: on pseudo-terminals where the system has them, else on simulated devices."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import pytest
import serial

from rtrecon.closed_loop.outputs import LslOutput, NiDaqOutput, SerialOutput
from rtrecon.config import LslMarkerSettings, NiDaqSettings, SerialSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

EVENT = messages.Event(session="s", seq=0, t=1.0, name="rule_fired", rule="lost")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_byte_is_sent_through_the_port():
    box, port = os.openpty()
    output = SerialOutput(SerialSettings(port=os.ttyname(port), byte=42))
    try:
        output.open()
        output.open()  # a second call does nothing
        output.trigger(EVENT)
        assert os.read(box, 10) == b"*"
        output.trigger(EVENT)
        assert os.read(box, 10) == b"*"
    finally:
        output.close()
        output.close()
        os.close(box)
        os.close(port)


class Levels(SimpleNamespace):
    """A port that records the levels of its lines, and when they were set."""

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments, levels=[], opened=False)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("rts", "dtr"):
            self.levels.append((name, value, time.monotonic()))

    def open(self) -> None:
        self.opened = True

    def close(self) -> None:
        self.opened = False


@pytest.mark.parametrize("line", ["rts", "dtr"])
def test_a_line_is_low_from_the_start_and_carries_a_pulse(monkeypatch, line):
    ports = []

    def made(url: str, **arguments: object) -> Levels:
        ports.append(Levels(url=url, **arguments))
        return ports[-1]

    # A pseudo-terminal has no control lines, so the port is simulated.
    monkeypatch.setattr(serial, "serial_for_url", made)
    output = SerialOutput(SerialSettings(port="COM3", signal=line, pulse_ms=20))
    output.open()
    [port] = ports
    assert (port.url, port.opened) == ("COM3", True)
    output.trigger(EVENT)
    assert [(name, value) for name, value, _ in port.levels] == [
        (line, False),
        (line, True),
        (line, False),
    ]
    assert port.levels[2][2] - port.levels[1][2] >= 0.02
    output.close()
    assert not port.opened


def test_a_pulse_works_with_a_real_pyserial_port():
    output = SerialOutput(SerialSettings(port="loop://", signal="rts", pulse_ms=1))
    output.open()
    output.trigger(EVENT)
    output.close()


def test_a_missing_port_is_named_in_the_error():
    output = SerialOutput(SerialSettings(port="no_such_port"))
    with pytest.raises(OSError, match="no_such_port"):
        output.open()
    output.close()


def test_a_marker_is_received_by_another_lsl_client():
    pylsl = pytest.importorskip("pylsl")
    output = LslOutput(LslMarkerSettings(stream=f"rtrecon-test-{os.getpid()}"))
    output.open()
    inlet = None
    try:
        name = f"rtrecon-test-{os.getpid()}"
        found = pylsl.resolve_byprop("name", name, timeout=10)
        if not found:
            pytest.skip("this machine's network hides LSL's streams")
        inlet = pylsl.StreamInlet(found[0])
        inlet.open_stream()
        output.trigger(EVENT)
        sample, _ = inlet.pull_sample()
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
        self.levels: list[object] = []
        self.do_channels = SimpleNamespace(add_do_chan=self.levels.append)
        self.write = self.levels.append
        self.closed = False
        Task.made.append(self)

    def close(self) -> None:
        self.closed = True


def test_a_digital_line_is_low_from_the_first_and_pulsed(monkeypatch):
    monkeypatch.setitem(sys.modules, "nidaqmx", SimpleNamespace(Task=Task))
    output = NiDaqOutput(NiDaqSettings(line="Dev1/port0/line0", pulse_ms=1))
    output.open()
    output.trigger(EVENT)
    output.close()
    [task] = Task.made
    assert task.levels == ["Dev1/port0/line0", False, True, False]
    assert task.closed


def test_a_missing_library_is_explained_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "nidaqmx", None)
    with pytest.raises(UserError, match=r"pip install 'rtrecon\[nidaq\]'"):
        NiDaqOutput(NiDaqSettings(line="Dev1/port0/line0")).open()
