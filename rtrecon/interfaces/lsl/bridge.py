"""The process between LSL and the daemon."""

from __future__ import annotations

from collections.abc import Callable

import zmq

from rtrecon.config import Settings
from rtrecon.interfaces.lsl.inlets import Inlets
from rtrecon.interfaces.lsl.outlets import Outlets
from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.aside import Aside
from rtrecon.transport.control import ControlError, ask
from rtrecon.transport.keys import keys_of_client

_POLL_MS = 5  # the most that a sample waits here

Log = Callable[[str], None]


class Bridge:
    """Takes in what the settings name, gives out what the daemon publishes."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._log = log
        self._control = settings.wire.control
        self._keys = keys = keys_of_client(settings.wire)
        self._aside = Aside(settings.wire.frames, keys)
        self._inlets = Inlets(settings.lsl, self._aside.send, self._note)
        self._outlets = Outlets(settings.lsl.name, settings.align.rate_hz)
        self._context: sockets.Context = zmq.Context()
        address = settings.wire.publish
        self._ear = sockets.connect(self._context, zmq.SUB, address, keys)

    def run(self) -> None:
        """Pass on what comes, until interrupted."""
        self._log("between LSL and the daemon")
        while True:
            self._inlets.pass_on()
            wait_ms = _POLL_MS
            while self._ear.poll(wait_ms):
                wait_ms = 0
                parts = self._ear.recv_multipart()
                self._outlets.take(*messages.decode_published(parts))

    def close(self) -> None:
        """Close the sockets."""
        self._aside.close()
        self._ear.close(linger=0)
        self._context.term()

    def _note(self, text: str) -> None:
        try:
            ask(self._control, "mark", self._keys, note=text)
        except ControlError as error:
            self._log(f"not noted: {text}: {error}")


def run(settings: Settings, log: Log) -> None:
    """Pass on between LSL and the daemon until interrupted; UserError without LSL."""
    bridge = Bridge(settings, log)
    try:
        bridge.run()
    finally:
        bridge.close()
