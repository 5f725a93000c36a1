"""Bridge between LSL and the daemon, in both directions."""

from __future__ import annotations

from collections.abc import Callable

from rtrecon.config import Settings
from rtrecon.interfaces.lsl.inlets import LslInlets
from rtrecon.interfaces.lsl.outlets import LslOutlets
from rtrecon.transport.keys import get_client_keys
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.senders import AuxiliarySender
from rtrecon.transport.subscriber import Subscriber

_POLL_S = 0.005  # the longest time that an LSL sample waits here

Notify = Callable[[str], None]


class LslBridge:
    """Sends the streams in the settings to the daemon, and publishes its results."""

    def __init__(self, settings: Settings, notify: Notify) -> None:
        self._notify = notify
        network = settings.network
        self._control_address = network.control
        self._keys = keys = get_client_keys(network)
        self._sender = AuxiliarySender(network.frames, keys)
        self._inlets = LslInlets(settings.lsl, self._sender.send, self._add_note)
        self._outlets = LslOutlets(settings.lsl.name, settings.timing.encoder_rate_hz)
        self._subscriber = Subscriber(network.publish, keys)

    def run(self) -> None:
        """Forward messages until interrupted."""
        self._notify("forwarding between LSL and the daemon")
        while True:
            self._inlets.forward_samples()
            self._subscriber.wait(_POLL_S)
            for message, payload in self._subscriber.receive_pending():
                self._outlets.push_message(message, payload)

    def close(self) -> None:
        """Close the sockets."""
        self._sender.close()
        self._subscriber.close()

    def _add_note(self, text: str) -> None:
        try:
            call_daemon(self._control_address, "mark", self._keys, note=text)
        except RpcError as error:
            self._notify(f"note not recorded: {text}: {error}")


def run_bridge(settings: Settings, notify: Notify) -> None:
    """Forward between LSL and the daemon until interrupted; UserError without LSL."""
    bridge = LslBridge(settings, notify)
    try:
        bridge.run()
    finally:
        bridge.close()
