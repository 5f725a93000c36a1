"""Outputs to other devices: a serial port, LSL markers, a digital line of NI-DAQ.

Each uses a library of its own, which is imported only if the output is used. An output
blocks while it works (a pulse has a length), so each runs in an `OutputWorker`.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any, Protocol

from rtrecon.config import LslMarkerSettings, NiDaqSettings, SerialSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

_WRITE_TIMEOUT_S = 1.0


class Output(Protocol):
    """Something that a rule triggers.

    Every exception is reported. After a `UserError` the output stays open; after any
    other exception it is closed, and opened again for the next event.
    """

    def open(self) -> None:
        """Open the device; does nothing if it is open."""

    def trigger(self, event: messages.Event) -> None:
        """Send the pulse, byte or marker, or call the function."""

    def close(self) -> None:
        """Close the device; does nothing if it is closed."""


class SerialOutput:
    """Sends a byte to a serial port, or a pulse on one of its lines."""

    def __init__(self, settings: SerialSettings) -> None:
        self._settings = settings
        self._port: Any = None

    def open(self) -> None:
        """Open the port; a line that carries pulses is low from the start."""
        if self._port is not None:
            return
        settings = self._settings
        port = _import_library("serial", "serial").serial_for_url(
            settings.port,
            do_not_open=True,
            baudrate=settings.baud,
            write_timeout=_WRITE_TIMEOUT_S,
        )
        if settings.signal != "byte":
            setattr(port, settings.signal, False)
        port.open()
        self._port = port

    def trigger(self, event: messages.Event) -> None:
        """Send the byte or the pulse."""
        settings = self._settings
        if settings.signal == "byte":
            self._port.write(bytes([settings.byte]))
            return
        setattr(self._port, settings.signal, True)
        time.sleep(settings.pulse_ms / 1e3)
        setattr(self._port, settings.signal, False)

    def close(self) -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port is not None:
            port.close()


class LslOutput:
    """A stream of LSL markers; each marker is the name of the rule that fired."""

    def __init__(self, settings: LslMarkerSettings) -> None:
        self._name = settings.stream
        self._outlet: Any = None

    def open(self) -> None:
        """Open the stream, so that recorders find it before the first marker."""
        if self._outlet is None:
            lsl = _import_library("pylsl", "lsl")
            source_id = f"rtrecon-{self._name}"  # recorders reconnect by it
            info = lsl.StreamInfo(self._name, "Markers", 1, 0, "string", source_id)
            self._outlet = lsl.StreamOutlet(info)

    def trigger(self, event: messages.Event) -> None:
        """Send a marker."""
        self._outlet.push_sample([event.rule])

    def close(self) -> None:
        """Close the stream."""
        self._outlet = None


class NiDaqOutput:
    """Sends a pulse on a digital line of a National Instruments device."""

    def __init__(self, settings: NiDaqSettings) -> None:
        self._settings = settings
        self._task: Any = None

    def open(self) -> None:
        """Reserve the line and set it low."""
        if self._task is not None:
            return
        task = _import_library("nidaqmx", "nidaq").Task()
        try:
            task.do_channels.add_do_chan(self._settings.line)
            task.write(False)
        except Exception:
            task.close()
            raise
        self._task = task

    def trigger(self, event: messages.Event) -> None:
        """Send the pulse."""
        self._task.write(True)
        time.sleep(self._settings.pulse_ms / 1e3)
        self._task.write(False)

    def close(self) -> None:
        """Release the line."""
        task, self._task = self._task, None
        if task is not None:
            task.close()


def _import_library(name: str, extra: str) -> Any:
    """Import a library; raises `UserError` that says how to install it."""
    try:
        return import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        raise UserError(
            f"the library {name} cannot be loaded ({error}); "
            f"install it with: pip install 'rtrecon[{extra}]'"
        ) from None
