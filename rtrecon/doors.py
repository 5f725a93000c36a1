"""The daemon's sockets: bound together or not at all, and closed together."""

from __future__ import annotations

from dataclasses import dataclass

import zmq

from rtrecon import sockets
from rtrecon.config import WireSettings
from rtrecon.sockets import Context, Socket


@dataclass(frozen=True)
class Doors:
    """Where messages come in (`frames`, `results`, `requests`) and go out (`out`)."""

    context: Context
    frames: Socket
    results: Socket
    requests: Socket
    out: Socket

    @classmethod
    def bind(cls, wire: WireSettings) -> Doors:
        """Bind all; raises `AddressError`, and then none is left bound."""
        context: Context = zmq.Context()
        bound: list[Socket] = []
        try:
            for kind, address in (
                (zmq.PULL, wire.frames),
                (zmq.PULL, wire.results),
                (zmq.ROUTER, wire.control),
                (zmq.PUB, wire.publish),
            ):
                bound.append(sockets.bind(context, kind, address))
        except sockets.AddressError:
            _close(context, bound)
            raise
        return cls(context, *bound)

    def poller(self) -> zmq.Poller:
        """Return what waits until something comes in by any of them."""
        poller = zmq.Poller()
        for socket in (self.frames, self.results, self.requests):
            poller.register(socket, zmq.POLLIN)
        return poller

    def close(self) -> None:
        """Close all."""
        _close(self.context, [self.frames, self.results, self.requests, self.out])


def _close(context: Context, bound: list[Socket]) -> None:
    for socket in bound:
        socket.close()
    context.term()
