"""Lines out of the computer: a serial port, LSL markers, a digital line of NI.

Each speaks through a library of its own, which is asked for only where it is used. They
wait while they work (a pulse has a length), so each has a `Worker`.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any, Protocol

from rtrecon.config import LslSettings, NiDaqSettings, SerialSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

_WRITE_TIMEOUT_S = 1.0


class Output(Protocol):
    """Something that a rule sets off.

    Whatever is raised is told. After a `UserError` it goes on as it is, after anything
    else it is closed, to be opened anew.
    """

    def open(self) -> None:
        """Make ready, unless it is."""

    def fire(self, event: messages.Event) -> None:
        """Do it."""

    def close(self) -> None:
        """Let go; twice is no mistake."""


class Serial:
    """Sends a byte, or pulses a line of the port."""

    def __init__(self, settings: SerialSettings) -> None:
        self._settings = settings
        self._port: Any = None

    def open(self) -> None:
        """Open the port; a line that is to be pulsed is low from the beginning."""
        if self._port is not None:
            return
        own = self._settings
        port = _library("serial", "serial").serial_for_url(
            own.port,
            do_not_open=True,
            baudrate=own.baud,
            write_timeout=_WRITE_TIMEOUT_S,
        )
        if own.signal != "byte":
            setattr(port, own.signal, False)
        port.open()
        self._port = port

    def fire(self, event: messages.Event) -> None:
        """Send the byte, or pulse the line."""
        own = self._settings
        if own.signal == "byte":
            self._port.write(bytes([own.byte]))
            return
        setattr(self._port, own.signal, True)
        time.sleep(own.pulse_ms / 1e3)
        setattr(self._port, own.signal, False)

    def close(self) -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port is not None:
            port.close()


class Lsl:
    """A stream of markers; each is the name of the rule that fired."""

    def __init__(self, settings: LslSettings) -> None:
        self._name = settings.stream
        self._outlet: Any = None

    def open(self) -> None:
        """Offer the stream, so that recorders find it before it says anything."""
        if self._outlet is None:
            lsl = _library("pylsl", "lsl")
            source = f"rtrecon-{self._name}"  # found again by it after a restart
            info = lsl.StreamInfo(self._name, "Markers", 1, 0, "string", source)
            self._outlet = lsl.StreamOutlet(info)

    def fire(self, event: messages.Event) -> None:
        """Push a marker."""
        self._outlet.push_sample([event.rule])

    def close(self) -> None:
        """Withdraw the stream."""
        self._outlet = None


class NiDaq:
    """Pulses a digital line."""

    def __init__(self, settings: NiDaqSettings) -> None:
        self._settings = settings
        self._task: Any = None

    def open(self) -> None:
        """Reserve the line and set it low."""
        if self._task is not None:
            return
        task = _library("nidaqmx", "nidaq").Task()
        try:
            task.do_channels.add_do_chan(self._settings.line)
            task.write(False)
        except Exception:
            task.close()
            raise
        self._task = task

    def fire(self, event: messages.Event) -> None:
        """Pulse the line."""
        self._task.write(True)
        time.sleep(self._settings.pulse_ms / 1e3)
        self._task.write(False)

    def close(self) -> None:
        """Let the line go."""
        task, self._task = self._task, None
        if task is not None:
            task.close()


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        raise UserError(
            f"the library {name} is not there ({error}); "
            f"install it with: pip install 'rtrecon[{extra}]'"
        ) from None
