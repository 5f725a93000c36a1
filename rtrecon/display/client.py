"""The display's sockets: what it hears, and the little that it asks for."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.connection import Connection
from rtrecon.transport.keys import ClientKeys

MOST_PER_CALL = 250  # messages: a flood must not keep the window from drawing


class Answer(NamedTuple):
    """What the daemon said to a request; `fields` are all that the JSON held."""

    sentence: str
    fields: dict[str, Any]
    attached: list[bytes]


class Listener:
    """Subscribes to all that the daemon publishes; never waits.

    The daemon may come later, go, and come again. `missed` counts messages lost on
    the way here, `refused` those that did not keep to the contract; `complaint` says
    what was wrong with the last of these. While the daemon catches up with frames that
    had to wait, it publishes more than anybody can draw: what goes missing then is not
    counted.
    """

    def __init__(
        self,
        context: sockets.Context,
        address: str,
        keys: ClientKeys | None = None,
    ) -> None:
        self.missed = 0
        self.refused = 0
        self.complaint = ""
        self._catching_up = False
        self._last: dict[tuple[type, str], tuple[messages.Published, bool]] = {}
        self._connection = Connection(context, zmq.SUB, address, keys)
        self._socket = self._connection.socket

    def refusal(self) -> str:
        """Return a sentence if the daemon turned us away, else nothing."""
        return self._connection.refusal()

    def receive(self) -> list[tuple[messages.Published, Array]]:
        """Return all that waits, oldest first; an empty list if nothing does."""
        received = []
        for _ in range(MOST_PER_CALL):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            try:
                message, payload = messages.decode_published(parts)
                _require_drawable(message, payload)
            except messages.WireError as error:
                self.refused += 1
                self.complaint = str(error)
                continue
            self._count_missed(message)
            received.append((message, payload))
        return received

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()

    def _count_missed(self, message: messages.Published) -> None:
        if isinstance(message, messages.Activity):
            self._catching_up = message.late
        # Each station numbers its own messages.
        key = (
            type(message),
            message.station if isinstance(message, messages.Health) else "",
        )
        last, caught_up_then = self._last.get(key, (None, False))
        if last is not None and last.session == message.session and caught_up_then:
            self.missed += max(0, message.seq - last.seq - 1)
        self._last[key] = message, not self._catching_up


class Asker:
    """Asks the daemon for something; the answer comes when it comes."""

    def __init__(
        self,
        context: sockets.Context,
        address: str,
        keys: ClientKeys | None = None,
    ) -> None:
        self._socket = sockets.connect(context, zmq.DEALER, address, keys)

    def ask(self, op: str, **fields: Any) -> bool:
        """Send a request; False if no daemon is there to take it."""
        request = json.dumps({"op": op, **fields}).encode()
        try:
            self._socket.send_multipart([b"", request], zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def answer(self) -> Answer | None:
        """Return an answer that has come; None if none has."""
        try:
            parts = self._socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None
        try:
            _, raw, *attached = parts
            fields = json.loads(raw)
            return Answer(str(fields["sentence"]), fields, attached)
        except (ValueError, KeyError, TypeError):
            sentence = "The daemon's answer cannot be read; are both of one version?"
            return Answer(sentence, {}, [])

    def close(self) -> None:
        """Stop asking; a request on its way is given up."""
        self._socket.close(linger=0)


class Client:
    """All sockets of one display: what is heard, what a person asks, what it asks."""

    def __init__(
        self,
        context: sockets.Context,
        addresses: tuple[str, str],
        keys: ClientKeys | None = None,
    ) -> None:
        """`addresses`: where the daemon publishes, and where it takes requests."""
        publish, control = addresses
        self.listener = Listener(context, publish, keys)
        self.asker = Asker(context, control, keys)
        self.masks = Asker(context, control, keys)

    def close(self) -> None:
        """Close all of them."""
        for socket in (self.listener, self.asker, self.masks):
            socket.close()


def masks_of(answer: Answer) -> Array | None:
    """Return the masks in an answer: (planes, lines, pixels), 0 where no neuron is.

    None where there are none, as from a daemon that does not know the request.
    """
    try:
        shape = tuple(int(side) for side in answer.fields["masks"])
        planes, lines, pixels = shape
        labels = np.frombuffer(answer.attached[0], "<u2")
        return labels.reshape(planes, lines, pixels)
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _require_drawable(message: messages.Published, payload: Array) -> None:
    """Refuse headers without their picture: the rest of the display trusts them."""
    drawn = messages.Field | messages.Activity | messages.Movie | messages.Seen
    name = type(message).__name__.lower()
    if isinstance(message, drawn) and not payload.size:
        raise messages.WireError(f"{name} message without its payload")
    if isinstance(message, messages.Movie) and not 0 <= message.final <= len(payload):
        raise messages.WireError(
            f"movie message says that {message.final} of its {len(payload)} frames "
            "are final"
        )
    told = message.information_fraction if isinstance(message, messages.Movie) else None
    if told is not None and len(told) != len(payload):
        raise messages.WireError(
            f"movie message has {len(payload)} frames and says of {len(told)} how much "
            "of them is told"
        )
    held_out = message.held_out if isinstance(message, messages.Quality) else None
    if held_out is not None:
        values, neurons = {len(row) for row in held_out.predicted}, held_out.neurons
        if values - {len(neurons)}:
            raise messages.WireError(
                f"quality message predicts {sorted(values)} values per frame for "
                f"{len(neurons)} held-out neurons"
            )
