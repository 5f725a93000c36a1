"""The public subscriber: typed messages from a daemon's PUB socket."""

from __future__ import annotations

import numpy as np
import pytest
import zmq

from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.testing.waiting import wait_until
from rtrecon.transport import sockets
from rtrecon.transport.authenticator import CurveAuthenticator
from rtrecon.transport.keys import make_keys, read_daemon_keys
from rtrecon.transport.publisher import Publisher
from rtrecon.transport.subscriber import Subscriber, subscribe

VALUES = np.array([0.5, np.nan, -1.0], np.float32)


@pytest.fixture
def publisher():
    """A publisher on a free port, as `publisher.address`."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        publisher = Publisher(socket)
        publisher.address = f"tcp://127.0.0.1:{port}"
        yield publisher


def publish_activity(publisher: Publisher, encoder_frame: int = 1) -> None:
    fields = {"encoder_frame": encoder_frame, "frame": 2, "t_frame": 3.0}
    publisher.publish(messages.Activity, VALUES, **fields)


def publish_until_received(publisher: Publisher, stream: Subscriber) -> None:
    """A PUB socket drops everything until the subscription has arrived."""

    def is_received() -> bool:
        publish_activity(publisher, encoder_frame=0)
        return stream.wait(0.01)

    wait_until(is_received)


def test_iteration_yields_typed_messages_and_their_arrays(publisher):
    with subscribe(publisher.address) as stream:
        publish_until_received(publisher, stream)
        publisher.publish(messages.Event, name="mark", message="a note")
        for message, payload in stream:
            if isinstance(message, messages.Event):
                break
            assert isinstance(message, messages.Activity)
            np.testing.assert_array_equal(payload, VALUES)
    assert (message.name, payload.size) == ("mark", 0)


def test_only_the_chosen_topics_are_received(publisher):
    with subscribe(publisher.address, topics=["activity"]) as stream:
        publish_until_received(publisher, stream)
        publisher.publish(messages.Event, name="mark")
        publish_activity(publisher, encoder_frame=7)
        received = [next(stream)[0]]
        while received[-1].encoder_frame != 7:
            received.append(next(stream)[0])
    assert {type(message) for message in received} == {messages.Activity}


def test_invalid_messages_are_counted_and_skipped(publisher):
    with subscribe(publisher.address) as stream:
        publish_until_received(publisher, stream)
        publisher.forward_parts([b"movie", b"{}", b""])
        publish_activity(publisher, encoder_frame=7)
        while next(stream)[0].encoder_frame != 7:
            pass
        assert stream.n_invalid == 1
        assert "does not parse" in stream.last_error
        assert list(stream.receive_pending()) == []


def test_unknown_topics_are_refused():
    with pytest.raises(UserError, match=r"no topic is called film; choose from field"):
        subscribe(topics=["film"])


def test_a_daemon_with_keys_refuses_a_subscriber_without_them(tmp_path, free_address):
    make_keys(tmp_path)
    keys, address = read_daemon_keys(tmp_path), free_address()
    with zmq.Context() as context:
        authenticator = CurveAuthenticator(context, keys)
        with sockets.bind_socket(context, zmq.PUB, address, keys):
            refused = pytest.raises(UserError, match="requires keys")
            with subscribe(address) as stream, refused:
                next(stream)
            with subscribe(address, keys=tmp_path) as stream:
                wait_until(lambda: is_connected(authenticator, stream))
        authenticator.close()


def is_connected(authenticator: CurveAuthenticator, stream: Subscriber) -> bool:
    authenticator.answer_handshakes()
    assert not stream.read_refusal()
    return stream.is_connected
