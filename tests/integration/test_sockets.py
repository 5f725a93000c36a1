from __future__ import annotations

import time

import pytest
import zmq

from rtrecon.transport import sockets
from rtrecon.transport.sockets import AddressError

MALFORMED = [
    "",
    "5560",
    "localhost:5560",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:0",
    "tcp://127.0.0.1:port",
    "tcp://127.0.0.1:99999",
    "tcp://:5560",
    "tcp://[::1:5560",
    "ipc:///tmp/rtrecon",
    "http://127.0.0.1:5560",
]
WIDE = [
    "tcp://0.0.0.0:5560",
    "tcp://*:5560",
    "tcp://192.168.1.7:5560",
    "tcp://[::]:5560",
]


@pytest.fixture
def opened():
    """Opens sockets, and closes them after the test."""
    context, held = zmq.Context(), []

    def open_socket(door, kind, address):
        held.append(door(context, kind, address))
        return held[-1]

    yield open_socket
    for socket in held:
        socket.close(linger=0)
    context.term()


@pytest.mark.parametrize("address", MALFORMED)
@pytest.mark.parametrize("door", [sockets.bind_socket, sockets.connect_socket])
def test_an_invalid_address_is_refused_with_an_example(opened, door, address):
    with pytest.raises(AddressError, match="write it like 'tcp://127"):
        opened(door, zmq.PULL, address)


@pytest.mark.parametrize("address", WIDE)
def test_binding_a_network_address_without_keys_is_refused(opened, address):
    with pytest.raises(AddressError, match="without encryption; make keys with"):
        opened(sockets.bind_socket, zmq.PULL, address)


def test_a_port_in_use_is_reported_and_usable_later(opened, free_address):
    address = free_address()
    first = opened(sockets.bind_socket, zmq.PULL, address)
    with pytest.raises(AddressError, match=f"{address} is in use, probably by another"):
        opened(sockets.bind_socket, zmq.PULL, address)
    first.close()
    deadline = time.monotonic() + 5.0
    while True:  # the system takes a moment to let the port go
        try:
            opened(sockets.bind_socket, zmq.PULL, address)
            break
        except AddressError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_nothing_is_queued_for_a_missing_daemon(opened, free_address):
    push = opened(sockets.connect_socket, zmq.PUSH, free_address())
    with pytest.raises(zmq.Again):
        push.send(b"frame", zmq.DONTWAIT)


def test_the_queue_for_a_stalled_daemon_is_bounded_and_not_lost(opened, free_address):
    """The stall outlasts any heartbeat, which a full receiver could not answer."""
    address = free_address()
    pull = opened(sockets.bind_socket, zmq.PULL, address)
    push = opened(sockets.connect_socket, zmq.PUSH, address)
    big = bytes(1 << 20)  # so that the operating system's buffers hold but a few
    taken = 0
    while push.poll(300, zmq.POLLOUT):
        push.send(taken.to_bytes(4, "little") + big, zmq.DONTWAIT)
        taken += 1
    assert taken < sockets.SEND_QUEUE + sockets.RECEIVE_QUEUE + 20
    time.sleep(2.0)
    received = [pull.recv()[:4] for _ in range(taken) if pull.poll(2000)]
    assert received == [i.to_bytes(4, "little") for i in range(taken)]


def test_a_message_that_is_too_large_is_not_received(opened, free_address):
    address = free_address()
    pull = opened(sockets.bind_socket, zmq.PULL, address)
    push = opened(sockets.connect_socket, zmq.PUSH, address)
    assert push.poll(5000, zmq.POLLOUT)
    push.send(bytes(65 << 20))
    assert not pull.poll(500)


def test_a_subscriber_receives_every_topic(opened, free_address):
    address = free_address()
    pub = opened(sockets.bind_socket, zmq.PUB, address)
    sub = opened(sockets.connect_socket, zmq.SUB, address)
    deadline = time.monotonic() + 5.0
    while not sub.poll(20):  # until the subscription has arrived
        pub.send_multipart([b"health", b"{}", b""])
        assert time.monotonic() < deadline
    assert sub.recv_multipart() == [b"health", b"{}", b""]


def test_a_burst_reaches_a_busy_subscriber(opened, free_address):
    """As after a calibration, while the listener computes for seconds."""
    address = free_address()
    pub = opened(sockets.bind_socket, zmq.PUB, address)
    sub = opened(sockets.connect_socket, zmq.SUB, address)
    while not sub.poll(20):
        pub.send(b"hello")
    activity = bytes(4 * 1000)
    for _ in range(1500):
        pub.send(activity, zmq.DONTWAIT)
    n_received = 0
    while sub.poll(500):
        n_received += sub.recv() == activity
    assert n_received == 1500
