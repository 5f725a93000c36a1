"""The daemon's sockets: bound together or not at all, and closed together."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import zmq

from rtrecon.config import WireSettings
from rtrecon.transport import sockets
from rtrecon.transport.gatekeeper import Gatekeeper
from rtrecon.transport.keys import keys_of_daemon, token_of
from rtrecon.transport.sockets import Context, Socket
from rtrecon.transport.tcp_door import TcpDoor


@dataclass(frozen=True)
class Doors:
    """Where messages come in (`frames`, `results`, `requests`) and go out (`out`).

    What comes by framed TCP is among `frames`.
    """

    frames: Socket
    results: Socket
    requests: Socket
    out: Socket
    tcp: TcpDoor | None
    gatekeeper: Gatekeeper | None  # where there are keys
    _opened: ExitStack

    @classmethod
    def bind(cls, wire: WireSettings) -> Doors:
        """Bind all or none; raises `AddressError` or `KeyFault`."""
        keys = keys_of_daemon(wire)
        with ExitStack() as opened:
            context: Context = zmq.Context()
            opened.callback(context.term)
            gatekeeper = Gatekeeper(context, keys) if keys else None
            if gatekeeper:
                opened.callback(gatekeeper.close)

            def bind(kind: int, address: str) -> Socket:
                socket = sockets.bind(context, kind, address, keys)
                opened.callback(socket.close)
                return socket

            frames = bind(zmq.PULL, wire.frames)
            results = bind(zmq.PULL, wire.results)
            requests = bind(zmq.ROUTER, wire.control)
            out = bind(zmq.PUB, wire.publish)
            tcp = open_tcp(context, wire, frames)
            if tcp:
                opened.callback(tcp.close)
            closing = opened.pop_all()
        return cls(frames, results, requests, out, tcp, gatekeeper, closing)

    def poller(self) -> zmq.Poller:
        """Return what waits until something comes in by any of them."""
        poller = zmq.Poller()
        for socket in (self.frames, self.results, self.requests):
            poller.register(socket, zmq.POLLIN)
        if self.gatekeeper:
            poller.register(self.gatekeeper.socket, zmq.POLLIN)
        return poller

    def keep(self) -> list[str]:
        """Let in who may; return a sentence for each who was turned away."""
        told = self.tcp.sentences() if self.tcp else []
        if self.gatekeeper:
            self.gatekeeper.answer_waiting()
            told += self.gatekeeper.sentences()
        return told

    def close(self) -> None:
        """Close all."""
        self._opened.close()


def open_tcp(context: Context, wire: WireSettings, frames: Socket) -> TcpDoor | None:
    """Open the framed TCP door and lead it to `frames`; None if it is switched off."""
    if wire.tcp == "off":
        return None
    door = TcpDoor(context, wire.tcp, token_of(wire))
    door.connect(frames)
    return door
