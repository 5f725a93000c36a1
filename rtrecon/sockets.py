"""ZeroMQ sockets with the options that the contract asks for, and errors in words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import zmq

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
SEND_HWM = 32  # messages: about a second of frames at 30 Hz, and a bounded backlog
RECEIVE_HWM = 64
HEARTBEAT_MS = 500
HEARTBEAT_TIMEOUT_MS = 1000
LINGER_MS = 500

Socket = zmq.Socket[Any]
Context = zmq.Context[Any]


class AddressError(ValueError):
    """An address that cannot be used; its text says why and what to do."""


def bind(context: Context, kind: int, address: str) -> Socket:
    """Return a bound socket; raises `AddressError` if that is unsafe or impossible."""
    host = _tcp_host(address)
    if host not in LOOPBACK:
        raise AddressError(
            f"{address} would listen to other machines without encryption; "
            "bind 127.0.0.1 and reach it through an ssh tunnel"
        )
    socket = _socket(context, kind)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close()
        raise AddressError(_bind_failure(address, error)) from None
    return socket


def connect(context: Context, kind: int, address: str) -> Socket:
    """Return a connected socket; the peer may come later."""
    _tcp_host(address)
    socket = _socket(context, kind)
    if kind == zmq.PUSH:
        # Without it frames pile up for a daemon that is not there.
        socket.setsockopt(zmq.IMMEDIATE, 1)
    if kind == zmq.SUB:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(address)
    return socket


def _socket(context: Context, kind: int) -> Socket:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.setsockopt(zmq.SNDHWM, SEND_HWM)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_HWM)
    socket.setsockopt(zmq.MAXMSGSIZE, 64 * 1024 * 1024 + 64 * 1024)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    return socket


def _tcp_host(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not address.startswith("tcp://") or not host or not port:
        raise AddressError(
            f"{address!r} is not an address; write it like 'tcp://127.0.0.1:5560'"
        )
    return host


def _bind_failure(address: str, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return (
            f"{address} is in use, probably by another rtrecon; "
            "stop that one or choose another port in the settings file"
        )
    return f"cannot listen on {address}: {error}"
