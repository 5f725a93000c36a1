"""Subscriber: receives what a running daemon publishes.

from rtrecon.transport.subscriber import subscribe

with subscribe(topics=["activity"]) as stream:
for message, values in stream:
print(message.encoder_frame, values.mean())
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import zmq

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.messages import PublishedMessage
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys, read_client_keys
from rtrecon.transport.monitored_socket import MonitoredSocket

DEFAULT_ADDRESS = "tcp://127.0.0.1:5562"
MAX_MESSAGES_PER_CALL = 10_000
_POLL_S = 0.2  # so often a blocking iteration looks for a refusal


def subscribe(
    address: str = DEFAULT_ADDRESS,
    topics: Iterable[str] | None = None,
    keys: Path | ClientKeys | None = None,
) -> Subscriber:
    """Connect to a daemon and return an iterator over what it publishes.

    topics: some of `messages.TOPICS`, None for all. keys: key folder from
    `rtrecon keys`, if the daemon has keys. Each item is (message, payload): a struct of
    `rtrecon.protocol.messages` and its array, empty for messages without payload. The
    iterator waits for the next message, also for a daemon that is not running yet;
    leaving the `with` block closes the connection:

        with subscribe(topics=["movie", "quality"]) as stream:
            for message, payload in stream:
                if isinstance(message, messages.Movie):
                    show(payload[-1])  # uint8 (height, width), the newest frame

    Raises `UserError` for an unknown topic or unusable keys, and while iterating if the
    daemon refuses the connection.
    """
    client_keys = read_client_keys(keys) if isinstance(keys, Path) else keys
    return Subscriber(address, client_keys, topics)


class Subscriber:
    """A SUB socket whose messages are decoded; usable as an iterator.

    Messages that break the protocol are skipped, counted in `n_invalid`, and the
    newest error is in `last_error`.
    """

    def __init__(
        self,
        address: str,
        keys: ClientKeys | None = None,
        topics: Iterable[str] | None = None,
        context: sockets.Context | None = None,
    ) -> None:
        """Connect, in a context of its own if none is given."""
        chosen_topics = _require_topics(topics)
        sockets.split_address(address)
        self.n_invalid = 0
        self.last_error = ""
        self._own_context = zmq.Context() if context is None else None
        used_context = context or self._own_context
        assert used_context is not None
        self._monitored = MonitoredSocket(used_context, zmq.SUB, address, keys)
        if topics is not None:
            self._monitored.socket.unsubscribe(b"")
            for topic in chosen_topics:
                self._monitored.socket.subscribe(topic.encode())

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[PublishedMessage, Array]]:
        return self

    def __next__(self) -> tuple[PublishedMessage, Array]:
        """Wait for the next message; `UserError` if the daemon refuses us."""
        while True:
            if self.wait(_POLL_S):
                received = self.receive()
                if received:
                    return received
            refusal = self.read_refusal()
            if refusal:
                raise UserError(refusal)

    @property
    def is_connected(self) -> bool:
        """Whether the last handshake with a daemon succeeded."""
        return self._monitored.is_connected

    @property
    def socket(self) -> sockets.Socket:
        """The socket, for a poller that waits for several."""
        return self._monitored.socket

    def wait(self, timeout_s: float) -> bool:
        """Wait until a message has arrived; False after `timeout_s`."""
        return bool(self.socket.poll(round(1000 * timeout_s)))

    def receive(self) -> tuple[PublishedMessage, Array] | None:
        """Return the next message that has arrived; None if none has. Never waits."""
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return None
            try:
                message, payload = messages.decode_published(parts)
                self.check_message(message, payload)
            except messages.WireError as error:
                self.n_invalid += 1
                self.last_error = str(error)
            else:
                return message, payload

    def receive_pending(
        self, max_messages: int = MAX_MESSAGES_PER_CALL
    ) -> list[tuple[PublishedMessage, Array]]:
        """Return the messages that have arrived, oldest first; never waits."""
        received: list[tuple[PublishedMessage, Array]] = []
        while len(received) < max_messages:
            item = self.receive()
            if item is None:
                break
            received.append(item)
        return received

    def check_message(self, message: PublishedMessage, payload: Array) -> None:
        """Raise `WireError` for a message that cannot be used; for subclasses."""

    def read_refusal(self) -> str:
        """Return a sentence if the daemon refused this client, else an empty string."""
        return self._monitored.read_refusal()

    def close(self) -> None:
        """Close the connection."""
        self._monitored.close()
        if self._own_context is not None:
            self._own_context.term()


def _require_topics(topics: Iterable[str] | None) -> list[str]:
    chosen = list(topics) if topics is not None else list(messages.TOPICS)
    unknown = [topic for topic in chosen if topic not in messages.TOPICS]
    if unknown:
        raise UserError(
            f"no topic is called {', '.join(unknown)}; choose from "
            f"{', '.join(messages.TOPICS)}"
        )
    return chosen
