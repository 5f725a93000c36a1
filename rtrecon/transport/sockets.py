"""ZeroMQ sockets with the options that the protocol needs; errors as sentences.

With keys, everything is encrypted and only clients with an allowed key can connect.
Without keys, only programs on this computer can.
"""

from __future__ import annotations

import errno
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

import zmq

from rtrecon.core.errors import UserError
from rtrecon.core.operating_system import is_port_reserved
from rtrecon.transport.authenticator import ZAP_DOMAIN
from rtrecon.transport.keys import ClientKeys, DaemonKeys

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
SEND_QUEUE = 32  # messages: about a second of frames at 30 Hz, and a bounded backlog
RECEIVE_QUEUE = 64
# Published messages are small and come in bursts, for example several per queued frame
# after a calibration. A subscriber that is busy for seconds must not lose any.
PUBLISH_QUEUE = 2000
KEEPALIVE_IDLE_S = 5  # until the system asks a silent peer whether it is alive
LINGER_MS = 500

Socket = zmq.Socket[Any]
Context = zmq.Context[Any]


class AddressError(UserError):
    """An address that cannot be used; the text says why, and what to do."""


def bind_socket(
    context: Context, socket_type: int, address: str, keys: DaemonKeys | None = None
) -> Socket:
    """Return a bound socket; raises `AddressError` if that is unsafe or impossible.

    With keys, a `CurveAuthenticator` has to answer the handshakes in this context.
    """
    host, _ = split_address(address)
    if keys is None and host not in LOOPBACK_HOSTS:
        raise AddressError(
            f"{address} would listen to other machines without encryption; make keys "
            "with 'rtrecon keys FOLDER' and name the folder as keys under [network], "
            "or bind 127.0.0.1 and reach it through an ssh tunnel"
        )
    socket = _make_socket(context, socket_type)
    if keys:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        # Enforced: no client can connect unless an authenticator answers.
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode())
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close()
        raise explain_bind_error(address, error) from None
    return socket


def connect_socket(
    context: Context, socket_type: int, address: str, keys: ClientKeys | None = None
) -> Socket:
    """Return a connected socket; the other side may start later."""
    split_address(address)
    socket = make_client_socket(context, socket_type, keys)
    socket.connect(address)
    return socket


def make_client_socket(
    context: Context, socket_type: int, keys: ClientKeys | None = None
) -> Socket:
    """Return a client socket that is not connected yet."""
    socket = _make_socket(context, socket_type)
    if keys:
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    if socket_type in (zmq.PUSH, zmq.DEALER):
        # Otherwise frames and requests are queued for a daemon that is not running.
        socket.setsockopt(zmq.IMMEDIATE, 1)
    if socket_type == zmq.SUB:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    return socket


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of 'tcp://127.0.0.1:5560'; raises `AddressError`."""
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


def is_listening(address: str, timeout_s: float = 1.0) -> bool:
    """Return whether any program takes connections at an address."""
    try:
        create_connection(split_address(address), timeout_s).close()
    except OSError:
        return False
    return True


def explain_bind_error(address: str, error: zmq.ZMQError | OSError) -> AddressError:
    """Return an error that says why an address cannot be bound."""
    if error.errno in (zmq.EADDRINUSE, errno.EADDRINUSE):
        return AddressError(
            f"{address} is in use, probably by another rtrecon; "
            "stop that one or choose another port in the settings file"
        )
    if is_port_reserved(error.errno):
        return AddressError(
            f"the system reserves the port of {address}; choose another port in the "
            "settings file (on Windows, 'netsh interface ipv4 show excludedportrange "
            "protocol=tcp' lists those that are reserved)"
        )
    return AddressError(f"cannot listen on {address}: {error}")


def _make_socket(context: Context, socket_type: int) -> Socket:
    socket: Socket = context.socket(socket_type)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    published = socket_type in (zmq.PUB, zmq.SUB)
    socket.setsockopt(zmq.SNDHWM, PUBLISH_QUEUE if published else SEND_QUEUE)
    socket.setsockopt(zmq.RCVHWM, PUBLISH_QUEUE if published else RECEIVE_QUEUE)
    socket.setsockopt(zmq.MAXMSGSIZE, 64 * 1024 * 1024 + 64 * 1024)
    # Do not use ZeroMQ's heartbeats: a receiver with a full queue does not read them,
    # so ZeroMQ disconnects a healthy peer, loses its queue and aborts (libzmq #3937).
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
    return socket
