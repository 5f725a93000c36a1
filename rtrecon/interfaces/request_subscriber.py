"""Receives what the rules of a daemon ask the program that acquires for."""

from __future__ import annotations

import time

from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.subscriber import Subscriber

_POLL_S = 0.2


class RequestSubscriber:
    """The requests in the events that a daemon publishes.

    control: the daemon's control address, at which answers are noted in the recording;
    None = they are not.
    """

    def __init__(
        self, address: str, keys: ClientKeys | None = None, control: str | None = None
    ) -> None:
        self._subscriber = Subscriber(address, keys, ["event"])
        self._keys, self._control = keys, control

    def wait(self, timeout_s: float) -> list[messages.AcquisitionRequest]:
        """Return the next requests; nothing after `timeout_s`.

        Raises `UserError` if the daemon refuses the connection.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            self._subscriber.wait(max(0.0, min(left_s, _POLL_S)))
            requests = [
                request
                for message, _ in self._subscriber.receive_pending()
                if isinstance(message, messages.Event)
                for request in message.requests
            ]
            if refusal := self._subscriber.read_refusal():
                raise UserError(refusal)
            if requests or left_s <= 0:
                return requests

    def note(self, sentence: str) -> str:
        """Write a sentence into the recording; return why that failed, or ""."""
        if self._control is None:
            return ""
        try:
            call_daemon(self._control, "mark", self._keys, note=sentence)
        except RpcError as error:
            return str(error)
        return ""

    def close(self) -> None:
        """Close the connection."""
        self._subscriber.close()
