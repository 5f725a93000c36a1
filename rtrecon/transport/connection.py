"""A connection that knows why it was turned away.

ZeroMQ does not say: to a program that only sends or waits, a daemon that turned it away
looks like one that is not there.
"""

from __future__ import annotations

import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys

_WATCHED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_WANTS_KEYS = "wants keys; name a folder of them: --keys, or keys under [wire]"
_OTHER_KEYS = "has other keys, or none; take those that were made beside its own"
# Once may be a daemon that just ended, or that was quicker to see what does not fit.
_MOST_HUNG_UP = 5


class Connection:
    """A connected `socket` that remembers how its newest handshake went.

    Whoever has one reads `refusal` now and then: while it is turned away, ZeroMQ stops
    at some two thousand handshakes that nobody read of, and goes on when they are read.
    """

    def __init__(
        self,
        context: sockets.Context,
        kind: int,
        address: str,
        keys: ClientKeys | None = None,
    ) -> None:
        sockets.host_and_port(address)
        self._address, self._keys = address, keys
        self._newest = 0, 0  # event, value
        self._hung_up = 0  # times, since it last did anything else
        self.socket = sockets.client(context, kind, keys)
        # Before it connects: some handshakes fail once, and are not tried again.
        self._monitor = self.socket.get_monitor_socket(_WATCHED)
        self.socket.connect(address)

    def refusal(self) -> str:
        """Return a sentence if the daemon turned this socket away, else nothing."""
        while self._monitor.poll(0):
            message = recv_monitor_message(self._monitor)
            self._newest = message["event"], message["value"]
            hung_up = message["event"] == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            self._hung_up = self._hung_up + 1 if hung_up else 0
        reason = self._reason(*self._newest)
        return f"the daemon at {self._address} {reason}" if reason else ""

    def waited(self, event: int, timeout_s: float) -> bool:
        """Wait for POLLIN or POLLOUT; False in the end, and once turned away."""
        poller = zmq.Poller()
        poller.register(self.socket, event)
        poller.register(self._monitor, zmq.POLLIN)
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0 and not self.refusal():
            if self.socket in dict(poller.poll(round(1000 * left_s))):
                return True
        return False

    def close(self, linger_s: float = 0.0) -> None:
        """Close the socket, giving queued messages `linger_s` to leave."""
        self.refusal()  # ZeroMQ waits for who does not read: it could not close either
        self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self.socket.close(linger=round(1000 * linger_s))

    def _reason(self, event: int, value: int) -> str:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return "does not know this key; make one beside its own: 'rtrecon keys'"
        if value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            return "has no keys; leave these out" if self._keys else _WANTS_KEYS
        if self._hung_up >= _MOST_HUNG_UP:
            return _OTHER_KEYS if self._keys else f"hangs up; probably it {_WANTS_KEYS}"
        return ""
