"""The display's sockets: one receives what the daemon publishes, two send requests."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.dish_messages import BODY_COLUMNS, CONTACT_COLUMNS
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.subscriber import Subscriber

MAX_MESSAGES_PER_CALL = 250  # so that a flood of messages does not stop the drawing


class Answer(NamedTuple):
    """The daemon's answer to a request: a sentence, all JSON fields, and raw parts."""

    sentence: str
    fields: dict[str, Any]
    attachments: list[bytes]


class DisplaySubscriber(Subscriber):
    """Receives everything that the daemon publishes; never blocks.

    The daemon may start later, stop and start again. `n_missed` counts messages that
    were lost on the way. While the daemon processes a backlog it publishes more than a
    display can draw: messages lost then are not counted.
    """

    def __init__(
        self,
        context: sockets.Context,
        address: str,
        keys: ClientKeys | None = None,
    ) -> None:
        super().__init__(address, keys, context=context)
        self.n_missed = 0
        self._is_backlog = False
        self._newest: dict[tuple[type, str], tuple[messages.PublishedMessage, bool]]
        self._newest = {}

    def receive_pending(
        self, max_messages: int = MAX_MESSAGES_PER_CALL
    ) -> list[tuple[messages.PublishedMessage, Array]]:
        """Return the messages that have arrived, oldest first; count missed ones."""
        received = super().receive_pending(max_messages)
        for message, _ in received:
            self._count_missed(message)
        return received

    def check_message(self, message: messages.PublishedMessage, payload: Array) -> None:
        """Raise `WireError` for a message that cannot be drawn."""
        _require_drawable(message, payload)

    def _count_missed(self, message: messages.PublishedMessage) -> None:
        if isinstance(message, messages.Activity):
            self._is_backlog = message.is_backlog
        # Each process numbers its own health messages.
        process = message.process if isinstance(message, messages.Health) else ""
        key = type(message), process
        newest, is_counted = self._newest.get(key, (None, False))
        if newest is not None and newest.session == message.session and is_counted:
            self.n_missed += max(0, message.seq - newest.seq - 1)
        self._newest[key] = message, not self._is_backlog


class RequestSocket:
    """Sends requests to the daemon; answers are read later, without blocking."""

    def __init__(
        self,
        context: sockets.Context,
        address: str,
        keys: ClientKeys | None = None,
    ) -> None:
        self._socket = sockets.connect_socket(context, zmq.DEALER, address, keys)

    def send_request(self, op: str, **fields: Any) -> bool:
        """Send a request; return False if no daemon is connected."""
        request = json.dumps({"op": op, **fields}).encode()
        try:
            self._socket.send_multipart([b"", request], zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def receive_answer(self) -> Answer | None:
        """Return the next answer; None if none has arrived."""
        try:
            parts = self._socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None
        try:
            _, raw, *attachments = parts
            fields = json.loads(raw)
            return Answer(str(fields["sentence"]), fields, attachments)
        except (ValueError, KeyError, TypeError):
            sentence = (
                "The daemon's answer cannot be read; use the same version of rtrecon "
                "for daemon and display"
            )
            return Answer(sentence, {}, [])

    def close(self) -> None:
        """Close the socket; requests that are not sent yet are dropped."""
        self._socket.close(linger=0)


class DisplayClient:
    """All sockets of one display.

    subscriber: published messages. requests: requests of the user, whose answers are
    shown. mask_requests: requests for the masks of the neurons. preview_requests:
    requests for the tracing of a dish with other settings.
    """

    def __init__(
        self,
        context: sockets.Context,
        addresses: tuple[str, str],
        keys: ClientKeys | None = None,
    ) -> None:
        """`addresses`: where the daemon publishes, and where it takes requests."""
        publish, control = addresses
        self.subscriber = DisplaySubscriber(context, publish, keys)
        self.requests = RequestSocket(context, control, keys)
        self.mask_requests = RequestSocket(context, control, keys)
        self.preview_requests = RequestSocket(context, control, keys)

    def close(self) -> None:
        """Close all sockets."""
        requests = self.requests, self.mask_requests, self.preview_requests
        for socket in (self.subscriber, *requests):
            socket.close()


def read_preview(answer: Answer) -> tuple[Array, int, Array] | None:
    """Return what other settings find in a dish; None if the answer has no preview.

    Owners uint16 (lines, pixels), camera px per pixel, and (n, 3) number, y and x of
    the bodies.
    """
    try:
        lines, pixels = (int(side) for side in answer.fields["shape"])
        owners = np.frombuffer(b"".join(answer.attachments), "<u2")
        bodies = np.array(answer.fields["bodies"], np.float32).reshape(-1, 3)
        step_px = max(1, int(answer.fields["downsampling"]))
        return owners.reshape(lines, pixels), step_px, bodies
    except (ValueError, KeyError, TypeError):
        return None


def read_masks(answer: Answer) -> Array | None:
    """Return the masks in an answer: uint32 (planes, lines, pixels), 0 = no neuron.

    None if the answer has no masks, as from a daemon without a session.
    """
    try:
        shape = tuple(int(side) for side in answer.fields["masks"])
        planes, lines, pixels = shape
        labels = np.frombuffer(b"".join(answer.attachments), "<u4")
        return labels.reshape(planes, lines, pixels)
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _require_drawable(message: messages.PublishedMessage, payload: Array) -> None:
    """Raise `WireError` where a payload is missing or does not match its header.

    The other modules of the display rely on this.
    """
    needs_payload = (
        messages.FieldImage
        | messages.Activity
        | messages.Movie
        | messages.AlignedStimulus
        | messages.DishTrace
    )
    if isinstance(message, needs_payload) and not payload.size:
        name = messages.message_type(message)
        raise messages.WireError(f"{name} message without its payload")
    if isinstance(message, messages.Movie):
        _require_consistent_movie(message, len(payload))
    if isinstance(message, messages.DishBodies):
        _require_columns(message.shape, BODY_COLUMNS)
    if isinstance(message, messages.DishContacts):
        _require_columns(message.shape, CONTACT_COLUMNS)
    if isinstance(message, messages.Quality) and message.held_out is not None:
        _require_consistent_prediction(message.held_out)


def _require_columns(shape: tuple[int, int], columns: tuple[str, ...]) -> None:
    if shape[1] != len(columns):
        raise messages.WireError(
            f"a table has {shape[1]} columns, expected {len(columns)}: "
            f"{', '.join(columns)}"
        )


def _require_consistent_movie(movie: messages.Movie, n_frames: int) -> None:
    if not 0 <= movie.n_final <= n_frames:
        raise messages.WireError(
            f"movie message has {n_frames} frames, but n_final = {movie.n_final}"
        )
    fractions = movie.information_fraction
    if fractions is not None and len(fractions) != n_frames:
        raise messages.WireError(
            f"movie message has {n_frames} frames, but {len(fractions)} values of "
            "information_fraction"
        )


def _require_consistent_prediction(prediction: messages.HeldOutPrediction) -> None:
    n_values = {len(row) for row in prediction.predicted}
    n_neurons = len(prediction.neurons)
    if n_values - {n_neurons}:
        raise messages.WireError(
            f"quality message predicts {sorted(n_values)} values per frame, but has "
            f"{n_neurons} held-out neurons"
        )
