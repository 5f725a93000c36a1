"""Requests to a running daemon: JSON in, JSON with `ok` and a `sentence` out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from rtrecon.core.errors import UserError
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.monitored_socket import MonitoredSocket

_REPLY_TIMEOUT_S = 3.0
_MAX_REQUESTS_PER_POLL = 8  # so that requests cannot delay frames

Reply = dict[str, Any]


class RpcError(UserError):
    """The daemon did not reply, or refused the request; the text says why."""


class RpcRequest(msgspec.Struct, frozen=True):
    """A request: the operation `op`; the other fields belong to single operations."""

    op: str
    note: str = ""
    session: str = ""
    on: bool = True
    plane: int = 0
    y: float = 0.0
    x: float = 0.0
    neuron: int = 0
    body_um: float = 0.0
    sensitivity: float = 0.0


class RpcServer:
    """Answers requests on a ROUTER socket by calling one function per operation.

    What a function returns under `attached` follows the JSON as raw parts.
    """

    def __init__(
        self, socket: sockets.Socket, ops: dict[str, Callable[[RpcRequest], Reply]]
    ) -> None:
        self._socket = socket
        self._ops = ops

    def answer_pending(self) -> None:
        """Answer the requests that have arrived; never waits."""
        for _ in range(_MAX_REQUESTS_PER_POLL):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
                reply, attached = self.answer_request(parts[-1])
                reply_parts = [*parts[:-1], msgspec.json.encode(reply), *attached]
                self._socket.send_multipart(reply_parts, zmq.DONTWAIT)
            except zmq.Again:
                return

    def answer_request(self, request_bytes: bytes) -> tuple[Reply, list[Any]]:
        """Return the reply to a request, which may be any bytes, and its raw parts."""
        try:
            request = msgspec.json.decode(request_bytes, type=RpcRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            sentence = f"request does not parse: {error}"
            return {"ok": False, "sentence": sentence}, []
        if request.op not in self._ops:
            known_ops = ", ".join(sorted(self._ops))
            sentence = f"unknown op {request.op!r}; known: {known_ops}"
            return {"ok": False, "sentence": sentence}, []
        reply = {"ok": True, **self._ops[request.op](request)}
        return reply, reply.pop("attached", [])


def call_daemon(
    address: str, op: str, keys: ClientKeys | None = None, **fields: Any
) -> Reply:
    """Send a request and return the reply; raises `RpcError` if there is none."""
    return call_daemon_with_payload(address, op, keys, **fields)[0]


def call_daemon_with_payload(
    address: str, op: str, keys: ClientKeys | None = None, **fields: Any
) -> tuple[Reply, list[bytes]]:
    """Send a request whose reply has raw parts; otherwise like `call_daemon`."""
    context: sockets.Context = zmq.Context()
    monitored = MonitoredSocket(context, zmq.REQ, address, keys)
    try:
        monitored.socket.send(msgspec.json.encode({"op": op, **fields}))
        if not monitored.wait_ready(zmq.POLLIN, _REPLY_TIMEOUT_S):
            no_reply = f"no daemon answers at {address}; start one with 'rtrecon run'"
            raise RpcError(monitored.read_refusal() or no_reply)
        reply_bytes, *attached = monitored.socket.recv_multipart()
        reply: Reply = msgspec.json.decode(reply_bytes)
    finally:
        monitored.close()
        context.term()
    if not reply.get("ok"):
        raise RpcError(str(reply.get("sentence")))
    return reply, attached
