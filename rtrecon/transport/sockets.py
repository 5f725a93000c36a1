"""ZeroMQ sockets with the options that the contract asks for, and errors in words.

With keys everything is encrypted, and only who is known gets in; without, nobody from
another machine does.
"""

from __future__ import annotations

import errno
from typing import Any
from urllib.parse import urlsplit

import zmq

from rtrecon.core.errors import UserError
from rtrecon.transport.gatekeeper import DOMAIN
from rtrecon.transport.keys import ClientKeys, DaemonKeys

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
SEND_HWM = 32  # messages: about a second of frames at 30 Hz, and a bounded backlog
RECEIVE_HWM = 64
# What is published is small and comes in bursts, as after a calibration: several
# messages for each frame that had to wait. Who listens, busy for seconds, loses none.
PUBLISH_HWM = 2000
KEEPALIVE_IDLE_S = 5  # after which the system asks a silent peer if it is alive
LINGER_MS = 500

Socket = zmq.Socket[Any]
Context = zmq.Context[Any]


class AddressError(UserError):
    """An address that cannot be used; its text says why and what to do."""


def bind(
    context: Context, kind: int, address: str, keys: DaemonKeys | None = None
) -> Socket:
    """Return a bound socket; raises `AddressError` if that is unsafe or impossible.

    With keys, somebody has to answer handshakes in this context: a `Gatekeeper`.
    """
    host, _ = host_and_port(address)
    if keys is None and host not in LOOPBACK:
        raise AddressError(
            f"{address} would listen to other machines without encryption; make keys "
            "with 'rtrecon keys FOLDER' and name the folder as keys under [wire], or "
            "bind 127.0.0.1 and reach it through an ssh tunnel"
        )
    socket = _socket(context, kind)
    if keys:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        # Enforced: without somebody who answers for the domain, nobody gets in.
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN.encode())
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close()
        raise bind_failure(address, error) from None
    return socket


def connect(
    context: Context, kind: int, address: str, keys: ClientKeys | None = None
) -> Socket:
    """Return a connected socket; the peer may come later."""
    host_and_port(address)
    socket = client(context, kind, keys)
    socket.connect(address)
    return socket


def client(context: Context, kind: int, keys: ClientKeys | None = None) -> Socket:
    """Return a socket that has yet to connect."""
    socket = _socket(context, kind)
    if keys:
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    if kind in (zmq.PUSH, zmq.DEALER):
        # Without it frames and requests pile up for a daemon that is not there.
        socket.setsockopt(zmq.IMMEDIATE, 1)
    if kind == zmq.SUB:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    return socket


def host_and_port(address: str) -> tuple[str, int]:
    """Take an address like 'tcp://127.0.0.1:5560' apart; raises `AddressError`."""
    host: str = ""
    port: int | None = None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        pass
    if not address.startswith("tcp://") or not host or not port:
        raise AddressError(
            f"{address!r} is not an address; write it like 'tcp://127.0.0.1:5560'"
        )
    return host, port


def bind_failure(address: str, error: zmq.ZMQError | OSError) -> AddressError:
    """Return why an address cannot be listened at."""
    if error.errno in (zmq.EADDRINUSE, errno.EADDRINUSE):
        return AddressError(
            f"{address} is in use, probably by another rtrecon; "
            "stop that one or choose another port in the settings file"
        )
    return AddressError(f"cannot listen on {address}: {error}")


def _socket(context: Context, kind: int) -> Socket:
    socket: Socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    published = kind in (zmq.PUB, zmq.SUB)
    socket.setsockopt(zmq.SNDHWM, PUBLISH_HWM if published else SEND_HWM)
    socket.setsockopt(zmq.RCVHWM, PUBLISH_HWM if published else RECEIVE_HWM)
    socket.setsockopt(zmq.MAXMSGSIZE, 64 * 1024 * 1024 + 64 * 1024)
    # Not ZeroMQ's own heartbeats: a full receiver does not read them, so they cut a
    # healthy peer off, lose what is queued, and abort the process (libzmq #3937).
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
    return socket
