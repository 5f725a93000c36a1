"""The daemon's sockets: bound together or not at all, and closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import zmq

from rtrecon.config import NetworkSettings
from rtrecon.transport import sockets
from rtrecon.transport.authenticator import CurveAuthenticator
from rtrecon.transport.keys import get_daemon_keys, get_token
from rtrecon.transport.sockets import Context, Socket
from rtrecon.transport.tcp_server import TcpServer

_DISCONNECT_MS = 300  # for senders to be disconnected when the daemon stops


@dataclass(frozen=True)
class DaemonSockets:
    """frames, results, control: messages arrive here; publish: they leave here.

    Messages that arrive by framed TCP are forwarded to `frames`.
    """

    frames: Socket
    results: Socket
    control: Socket
    publish: Socket
    tcp: TcpServer | None
    authenticator: CurveAuthenticator | None  # if the settings name keys
    _frames_address: str
    _resources: ExitStack

    @classmethod
    def bind_all(cls, settings: NetworkSettings) -> DaemonSockets:
        """Bind all sockets or none; raises `AddressError` or `KeyFileError`."""
        keys = get_daemon_keys(settings)
        with ExitStack() as resources:
            context: Context = zmq.Context()
            resources.callback(context.term)
            authenticator = CurveAuthenticator(context, keys) if keys else None
            if authenticator:
                resources.callback(authenticator.close)

            def bind(kind: int, address: str) -> Socket:
                socket = sockets.bind_socket(context, kind, address, keys)
                resources.callback(socket.close)
                return socket

            frames = bind(zmq.PULL, settings.frames)
            results = bind(zmq.PULL, settings.results)
            control = bind(zmq.ROUTER, settings.control)
            publish = bind(zmq.PUB, settings.publish)
            bound = frames.getsockopt_string(zmq.LAST_ENDPOINT)  # before TCP connects
            tcp = open_tcp_server(context, settings, frames)
            if tcp:
                resources.callback(tcp.close)
            owned = resources.pop_all()
        return cls(frames, results, control, publish, tcp, authenticator, bound, owned)

    def make_poller(self) -> zmq.Poller:
        """Return a poller that wakes up when any socket has a message."""
        poller = zmq.Poller()
        for socket in (self.frames, self.results, self.control):
            poller.register(socket, zmq.POLLIN)
        if self.authenticator:
            poller.register(self.authenticator.socket, zmq.POLLIN)
        return poller

    def poll_authentication(self) -> list[str]:
        """Answer clients that want to connect; return why clients were refused."""
        notices = self.tcp.take_notices() if self.tcp else []
        if self.authenticator:
            self.authenticator.answer_handshakes()
            notices += self.authenticator.take_notices()
        return notices

    def stop_receiving(self) -> Iterator[list[Any]]:
        """Take no further message from senders; return the parts of those that arrived.

        Senders notice it only when these have been read, so they are read at once;
        their number is limited by the queue of each sender.
        """
        if self.tcp:
            self.tcp.stop_receiving()
        self.frames.unbind(self._frames_address)
        arrived = []
        # Not DONTWAIT: ZeroMQ ends a connection only while its socket is used.
        while self.frames.poll(_DISCONNECT_MS):
            arrived.append(self.frames.recv_multipart())
        return iter(arrived)

    def close(self) -> None:
        """Close all sockets."""
        self._resources.close()


def open_tcp_server(
    context: Context, settings: NetworkSettings, frames: Socket
) -> TcpServer | None:
    """Open the framed TCP server and connect `frames` to it; None if switched off."""
    if settings.tcp == "off":
        return None
    server = TcpServer(context, settings.tcp, get_token(settings))
    server.connect_pull(frames)
    return server
