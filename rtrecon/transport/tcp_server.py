"""Framed TCP server: receives messages by plain TCP and forwards them to ZeroMQ.

It runs in a thread of its own, so that it reads from senders while the daemon computes.
It acknowledges each message that it could forward. A sender that keeps at most
`framing.MAX_IN_FLIGHT` messages unacknowledged never waits, and counts the messages it
cannot send. A sender that ignores this is held up by TCP. Nothing is queued here.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from socket import AF_INET, AF_INET6, create_server, socket
from time import monotonic

import zmq

from rtrecon.transport import framing, sockets
from rtrecon.transport.framing import FramingError
from rtrecon.transport.tcp_connection import TcpConnection

MAX_SENDERS = 8
_POLL_MS = 100
_MAX_NOTICES = 32
_INTERNAL_ADDRESS = "inproc://framed-tcp"


class TcpServer:
    """Listens at an address; `connect_pull` gives its messages to a PULL socket.

    `token`: the secret that senders must know; without one the address must be
    loopback. `n_received` counts messages, `n_rejected` rejected and closed senders.
    Raises `AddressError`.
    """

    def __init__(
        self, context: sockets.Context, address: str, token: bytes | None = None
    ) -> None:
        self.n_received = 0
        self.n_rejected = 0
        self._notices: deque[str] = deque(maxlen=_MAX_NOTICES)
        self._token = token
        self._senders: dict[int, TcpConnection] = {}  # by file number
        self._listener = _open_listener(address, token)
        self._internal_push: sockets.Socket = context.socket(zmq.PUSH)
        self._internal_push.setsockopt(zmq.LINGER, 0)
        self._internal_push.setsockopt(zmq.SNDHWM, framing.MAX_IN_FLIGHT)
        self._internal_push.bind(_INTERNAL_ADDRESS)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="framed TCP")
        self._thread.start()

    @staticmethod
    def connect_pull(pull: sockets.Socket) -> None:
        """Connect a PULL socket of the same context to the received messages."""
        pull.connect(_INTERNAL_ADDRESS)

    def take_notices(self) -> list[str]:
        """Return the notices about rejected senders since the last call."""
        return [self._notices.popleft() for _ in range(len(self._notices))]

    def stop_receiving(self) -> None:
        """Stop listening and close all connections; what was forwarded stays."""
        self._closing.set()
        self._thread.join()

    def close(self) -> None:
        """Stop receiving, and close the socket to the daemon."""
        self.stop_receiving()
        self._internal_push.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._make_poller().poll(_POLL_MS)
            for sender in list(self._senders.values()):
                self._serve_sender(sender)
            self._accept_sender()  # last, when closed connections have made space
        for sender in self._senders.values():
            sender.connection.close()
        self._listener.close()

    def _make_poller(self) -> zmq.Poller:
        poller = zmq.Poller()
        poller.register(self._listener.fileno(), zmq.POLLIN)
        for number, sender in self._senders.items():
            if sender.has_space:
                poller.register(number, zmq.POLLIN)
        if any(sender.pending for sender in self._senders.values()):
            poller.register(self._internal_push, zmq.POLLOUT)
        return poller

    def _accept_sender(self) -> None:
        try:
            connection, (host, port, *_) = self._listener.accept()
        except OSError:  # no sender, or it disconnected before it was accepted
            return
        sender = TcpConnection(connection, f"{host}:{port}", self._token)
        if len(self._senders) >= MAX_SENDERS:
            self._reject_sender(sender, f"{MAX_SENDERS} senders are connected already")
            return
        self._senders[connection.fileno()] = sender

    def _serve_sender(self, sender: TcpConnection) -> None:
        try:
            if sender.has_space:
                sender.receive_bytes()
            sender.check_timeouts(monotonic())
            self._forward_messages(sender)
        except FramingError as error:
            self._remove_sender(sender)
            self._reject_sender(sender, str(error))
        except (OSError, EOFError):
            self._remove_sender(sender)
            sender.connection.close()
        except MemoryError:
            self._remove_sender(sender)
            self._reject_sender(sender, "there is no memory for its message")

    def _forward_messages(self, sender: TcpConnection) -> None:
        with suppress(zmq.Again):
            while sender.pending:
                self._internal_push.send_multipart(sender.pending[0], zmq.DONTWAIT)
                sender.pop_forwarded()
                self.n_received += 1
        sender.acknowledge()

    def _remove_sender(self, sender: TcpConnection) -> None:
        del self._senders[sender.connection.fileno()]

    def _reject_sender(self, sender: TcpConnection, reason: str) -> None:
        self.n_rejected += 1
        self._notices.append(f"TCP sender {sender.name} was disconnected: {reason}")
        sender.close_with_reason(reason)


def _open_listener(address: str, token: bytes | None) -> socket:
    host, port = sockets.split_address(address)
    if host not in sockets.LOOPBACK_HOSTS and not token:
        raise sockets.AddressError(
            f"{address} would take frames from other machines without a token; make "
            "one with 'rtrecon keys FOLDER' and name it as token under [network], or "
            "listen at 127.0.0.1"
        )
    family = AF_INET6 if ":" in host else AF_INET
    bind_host = "" if host == "*" else host
    try:
        listener = create_server((bind_host, port), family=family)
    except OSError as error:
        raise sockets.explain_bind_error(address, error) from None
    listener.setblocking(False)
    return listener
