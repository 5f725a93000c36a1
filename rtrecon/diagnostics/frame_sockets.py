"""Receives what senders send, in place of the daemon, at the daemon's addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import zmq

from rtrecon.config import NetworkSettings
from rtrecon.daemon.sockets import open_tcp_server
from rtrecon.transport import sockets
from rtrecon.transport.authenticator import CurveAuthenticator
from rtrecon.transport.keys import get_daemon_keys
from rtrecon.transport.sockets import Context, Socket
from rtrecon.transport.tcp_server import TcpServer

_POLL_MS = 50


@dataclass(frozen=True)
class FrameSockets:
    """Both transports, and a notice about their addresses."""

    address_notice: str
    zeromq: Socket
    framed_tcp: Socket
    tcp: TcpServer | None
    authenticator: CurveAuthenticator | None
    poller: zmq.Poller

    def wait(self) -> list[str]:
        """Wait a moment for messages; return notices about clients."""
        self.poller.poll(_POLL_MS)
        notices = []
        if self.authenticator:
            self.authenticator.answer_handshakes()
            notices += self.authenticator.take_notices()
        if self.tcp:
            notices += self.tcp.take_notices()
        return notices


@contextmanager
def open_frame_sockets(settings: NetworkSettings) -> Iterator[FrameSockets]:
    """Bind the addresses; `AddressError` if the daemon or another program uses them."""
    keys = get_daemon_keys(settings)
    with ExitStack() as stack:
        context: Context = zmq.Context()
        stack.callback(context.term)
        authenticator = CurveAuthenticator(context, keys) if keys else None
        poller = zmq.Poller()
        if authenticator:
            stack.callback(authenticator.close)
            poller.register(authenticator.socket, zmq.POLLIN)
        frames = stack.enter_context(
            sockets.bind_socket(context, zmq.PULL, settings.frames, keys)
        )
        tcp_frames: Socket = stack.enter_context(context.socket(zmq.PULL))
        tcp_frames.setsockopt(zmq.RCVHWM, sockets.RECEIVE_QUEUE)
        tcp = open_tcp_server(context, settings, tcp_frames)
        if tcp:
            stack.callback(tcp.close)
        for socket in (frames, tcp_frames):
            poller.register(socket, zmq.POLLIN)
        with_keys = "with keys" if keys else "without keys"
        addresses = f"{settings.frames} and, framed TCP, {settings.tcp}"
        notice = f"listening at {addresses}; {with_keys}"
        yield FrameSockets(notice, frames, tcp_frames, tcp, authenticator, poller)
