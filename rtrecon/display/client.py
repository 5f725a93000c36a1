"""The display's two sockets: what it hears, and the little that it asks for."""

from __future__ import annotations

import json
from typing import Any

import zmq

from rtrecon import sockets, wire

MOST_PER_CALL = 1000  # messages: a flood must not keep the window from drawing


class Listener:
    """Subscribes to all that the daemon publishes; never waits.

    The daemon may come later, go, and come again. `missed` counts messages lost on
    the way here, `refused` those that did not keep to the contract; `complaint` says
    what was wrong with the last of these.
    """

    def __init__(self, context: sockets.Context, address: str) -> None:
        self.missed = 0
        self.refused = 0
        self.complaint = ""
        self._last: dict[type, wire.Published] = {}
        self._socket = sockets.connect(context, zmq.SUB, address)

    def receive(self) -> list[tuple[wire.Published, wire.Array]]:
        """Return all that waits, oldest first; an empty list if nothing does."""
        received = []
        for _ in range(MOST_PER_CALL):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            try:
                message, payload = wire.decode_published(parts)
                _require_drawable(message, payload)
            except wire.WireError as error:
                self.refused += 1
                self.complaint = str(error)
                continue
            self._count_missed(message)
            received.append((message, payload))
        return received

    def close(self) -> None:
        """Stop listening."""
        self._socket.close(linger=0)

    def _count_missed(self, message: wire.Published) -> None:
        last = self._last.get(type(message))
        if last is not None and last.session == message.session:
            self.missed += max(0, message.seq - last.seq - 1)
        self._last[type(message)] = message


class Asker:
    """Asks the daemon for something; the answer comes when it comes."""

    def __init__(self, context: sockets.Context, address: str) -> None:
        self._socket = sockets.connect(context, zmq.DEALER, address)

    def ask(self, op: str, **fields: Any) -> bool:
        """Send a request; False if no daemon is there to take it."""
        request = json.dumps({"op": op, **fields}).encode()
        try:
            self._socket.send_multipart([b"", request], zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def answer(self) -> str:
        """Return the sentence of an answer that has come; empty if none has."""
        try:
            parts = self._socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return ""
        try:
            return str(json.loads(parts[-1])["sentence"])
        except (ValueError, KeyError, TypeError):
            return "The daemon's answer cannot be read; are both of one version?"

    def close(self) -> None:
        """Stop asking; a request on its way is given up."""
        self._socket.close(linger=0)


def _require_drawable(message: wire.Published, payload: wire.Array) -> None:
    """Refuse headers without their picture: the rest of the display trusts them."""
    drawn = wire.Field | wire.Activity | wire.Movie | wire.Seen
    name = type(message).__name__.lower()
    if isinstance(message, drawn) and not payload.size:
        raise wire.WireError(f"{name} message without its payload")
    if isinstance(message, wire.Movie) and not 0 <= message.final <= len(payload):
        raise wire.WireError(
            f"movie message says that {message.final} of its {len(payload)} frames "
            "are final"
        )
