"""A client socket that knows why the daemon refused it.

ZeroMQ reports this only through a socket monitor: to a program that just sends or
waits, a daemon that refuses its keys looks like a daemon that is not running.
"""

from __future__ import annotations

import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys

_MONITORED_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_KEYS_REQUIRED = (
    "requires keys; name a key folder: --keys FOLDER, or keys under [network]"
)
_WRONG_KEYS = "has other keys, or none; use the keys made together with its own"
# A single failed handshake can be a daemon that is just ending, or one that noticed
# the mismatch first.
_MAX_CLOSED_HANDSHAKES = 5


class MonitoredSocket:
    """A connected `socket` that remembers the result of its last handshake.

    Call `read_refusal` (or `wait_ready`) from time to time: when about two thousand
    monitor events are unread, ZeroMQ stops trying to connect until they are read.
    """

    def __init__(
        self,
        context: sockets.Context,
        socket_type: int,
        address: str,
        keys: ClientKeys | None = None,
    ) -> None:
        sockets.split_address(address)
        self._address, self._keys = address, keys
        self._last_event = 0, 0  # event, value
        self._n_closed_handshakes = 0  # in a row
        self.socket = sockets.make_client_socket(context, socket_type, keys)
        # Before connecting: some handshakes fail once and are not tried again.
        self._monitor = self.socket.get_monitor_socket(_MONITORED_EVENTS)
        self.socket.connect(address)

    @property
    def is_connected(self) -> bool:
        """Whether the last handshake succeeded, as of the last `read_refusal`."""
        return self._last_event[0] == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def read_refusal(self) -> str:
        """Return a sentence if the daemon refused this client, else an empty string."""
        while self._monitor.poll(0):
            message = recv_monitor_message(self._monitor)
            self._last_event = message["event"], message["value"]
            if message["event"] == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._n_closed_handshakes += 1
            else:
                self._n_closed_handshakes = 0
        reason = self._explain_refusal(*self._last_event)
        return f"the daemon at {self._address} {reason}" if reason else ""

    def wait_ready(self, poll_event: int, timeout_s: float) -> bool:
        """Wait for POLLIN or POLLOUT; False after the timeout or a refusal."""
        poller = zmq.Poller()
        poller.register(self.socket, poll_event)
        poller.register(self._monitor, zmq.POLLIN)
        deadline_s = time.monotonic() + timeout_s
        while not self.read_refusal():
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                return False
            if self.socket in dict(poller.poll(round(1000 * remaining_s))):
                return True
        return False

    def close(self, linger_s: float = 0.0) -> None:
        """Close the socket; queued messages get `linger_s` to be sent."""
        self.read_refusal()  # with unread events, ZeroMQ could not close the socket
        self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self.socket.close(linger=round(1000 * linger_s))

    def _explain_refusal(self, event: int, value: int) -> str:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return (
                "does not know this key; make one in the daemon's key folder with "
                "'rtrecon keys'"
            )
        if value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            return "uses no keys; leave the keys out" if self._keys else _KEYS_REQUIRED
        if self._n_closed_handshakes >= _MAX_CLOSED_HANDSHAKES:
            if self._keys:
                return _WRONG_KEYS
            return f"closes the connection; it probably {_KEYS_REQUIRED}"
        return ""
