"""Requests to a running daemon: JSON in, JSON with `ok` and a sentence out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from rtrecon.core.errors import UserError
from rtrecon.transport import sockets
from rtrecon.transport.connection import Connection
from rtrecon.transport.keys import ClientKeys

_TIMEOUT_S = 3.0
_MAX_REQUESTS = 8  # answered in one go, so that asking cannot hold up frames

Answer = dict[str, Any]


class ControlError(UserError):
    """A request that was not answered, or was refused; its text says why."""


class Request(msgspec.Struct, frozen=True):
    """What may be asked; fields other than `op` belong to single ops."""

    op: str
    note: str = ""
    on: bool = True


class Control:
    """Answers requests on a ROUTER socket by calling one function per op.

    What a function returns under `attached` follows the JSON as raw parts.
    """

    def __init__(
        self, socket: sockets.Socket, ops: dict[str, Callable[[Request], Answer]]
    ) -> None:
        self._socket = socket
        self._ops = ops

    def answer_waiting(self) -> None:
        """Answer what has come; never waits."""
        for _ in range(_MAX_REQUESTS):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
                answer, attached = self.answer(parts[-1])
                whole = [*parts[:-1], msgspec.json.encode(answer), *attached]
                self._socket.send_multipart(whole, zmq.DONTWAIT)
            except zmq.Again:
                return

    def answer(self, raw: bytes) -> tuple[Answer, list[Any]]:
        """Return what a request, which may be any bytes, is answered with."""
        try:
            request = msgspec.json.decode(raw, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            sentence = f"request does not parse: {error}"
            return {"ok": False, "sentence": sentence}, []
        if request.op not in self._ops:
            known = ", ".join(sorted(self._ops))
            sentence = f"unknown op {request.op!r}; known: {known}"
            return {"ok": False, "sentence": sentence}, []
        answer = {"ok": True, **self._ops[request.op](request)}
        return answer, answer.pop("attached", [])


def ask(address: str, op: str, keys: ClientKeys | None = None, **fields: Any) -> Answer:
    """Ask a daemon; raises `ControlError` if it does not answer or refuses."""
    return ask_attached(address, op, keys, **fields)[0]


def ask_attached(
    address: str, op: str, keys: ClientKeys | None = None, **fields: Any
) -> tuple[Answer, list[bytes]]:
    """Ask a daemon whose answer comes with raw parts, as `ask` otherwise."""
    context: sockets.Context = zmq.Context()
    connection = Connection(context, zmq.REQ, address, keys)
    try:
        connection.socket.send(msgspec.json.encode({"op": op, **fields}))
        if not connection.waited(zmq.POLLIN, _TIMEOUT_S):
            silent = f"no daemon answers at {address}; is `rtrecon run` up?"
            raise ControlError(connection.refusal() or silent)
        raw, *attached = connection.socket.recv_multipart()
        answer: Answer = msgspec.json.decode(raw)
    finally:
        connection.close()
        context.term()
    if not answer.get("ok"):
        raise ControlError(str(answer.get("sentence")))
    return answer, attached
