"""The display's sockets against real sockets on free ports."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import msgspec
import numpy as np
import pytest
import zmq

from rtrecon.display.client import Answer, DisplaySubscriber, RequestSocket, read_masks
from rtrecon.protocol import messages
from rtrecon.testing.waiting import wait_until
from rtrecon.transport.sockets import AddressError

ACTIVITY = np.arange(4, dtype=np.float32)
NO_DAEMON = "tcp://127.0.0.1:9"
N_AT_ONCE = 30
MAX_PAUSE_S = 10.0
# The process of the last message before a test begins, and the numbers of its messages.
LAST, LAST_SEQS = "closed_loop", itertools.count()


def activity(seq: int, session: str = "s", is_backlog: bool = False) -> list:
    message = messages.Activity(
        session=session,
        seq=seq,
        t=0.0,
        encoder_frame=seq,
        frame=seq,
        t_frame=0.0,
        is_backlog=is_backlog,
    )
    return messages.encode_published(message, ACTIVITY)


@contextmanager
def bound_socket(kind: int, address: str = "tcp://127.0.0.1:0") -> Iterator[zmq.Socket]:
    """A socket of a daemon, on a free port unless an address is given."""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        socket.bind(address)
        yield socket


@contextmanager
def request_socket(address: str) -> Iterator[RequestSocket]:
    with zmq.Context() as context, closing(RequestSocket(context, address)) as requests:
        yield requests


def address_of(socket: zmq.Socket) -> str:
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


@pytest.fixture
def subscribe() -> Iterator[Callable[[str], DisplaySubscriber]]:
    with zmq.Context() as context, ExitStack() as stack:

        def open_subscriber(address: str) -> DisplaySubscriber:
            return stack.enter_context(closing(DisplaySubscriber(context, address)))

        yield open_subscriber


def health(process: str, seq: int) -> list:
    message = messages.Health(
        session="s", seq=seq, t=0.0, process=process, state="running"
    )
    return messages.encode_published(message)


def wait_for_subscription(
    daemon: zmq.Socket, subscriber: DisplaySubscriber, parts: list
) -> list:
    """Publish the same message until it arrives; return what arrived."""

    def publish_and_receive() -> list:
        daemon.send_multipart(parts)
        time.sleep(0.02)
        return subscriber.receive_pending()

    received = wait_until(publish_and_receive)
    seq = next(LAST_SEQS)
    daemon.send_multipart(health(LAST, seq))

    def is_last_received() -> bool:
        received.extend(subscriber.receive_pending())
        last, _ = received[-1]
        return isinstance(last, messages.Health) and last.seq == seq

    wait_until(is_last_received)
    return received[:-1]


def receive_seqs_until(subscriber: DisplaySubscriber, last: int) -> list[int]:
    """Receive until message `last` arrives; return the numbers of all messages."""
    seqs: list[int] = []

    def has_last() -> bool:
        seqs.extend(message.seq for message, _ in subscriber.receive_pending())
        return last in seqs

    wait_until(has_last)
    return seqs


def test_all_pending_messages_are_received_at_once_and_in_order(subscribe):
    with bound_socket(zmq.PUB) as daemon:
        subscriber = subscribe(address_of(daemon))
        wait_for_subscription(daemon, subscriber, activity(0))
        first, pause_s, received = 1, 0.02, []
        # All of them have to be there before it looks: on a busy computer, later.
        while len(received) < N_AT_ONCE and pause_s < MAX_PAUSE_S:
            for seq in range(first, first + N_AT_ONCE):
                daemon.send_multipart(activity(seq))
            time.sleep(pause_s)
            received = subscriber.receive_pending()
            first, pause_s = first + N_AT_ONCE, 2 * pause_s
    seqs = [message.seq for message, _ in received]
    assert len(seqs) >= N_AT_ONCE
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    np.testing.assert_array_equal(received[-1][1], ACTIVITY)
    assert subscriber.n_missed == 0


def test_receiving_without_a_daemon_returns_nothing_and_does_not_block(subscribe):
    subscriber = subscribe(NO_DAEMON)
    n_calls, wait_s = 1000, 0.05
    began_s = time.monotonic()
    assert [subscriber.receive_pending() for _ in range(n_calls)] == [[]] * n_calls
    assert time.monotonic() - began_s < n_calls * wait_s / 2  # it does not wait


def test_lost_messages_are_counted(subscribe):
    with bound_socket(zmq.PUB) as daemon:
        subscriber = subscribe(address_of(daemon))
        wait_for_subscription(daemon, subscriber, activity(0))
        for seq in (1, 2, 6):
            daemon.send_multipart(activity(seq))
        assert receive_seqs_until(subscriber, last=6) == [1, 2, 6]
    assert subscriber.n_missed == 3


def test_a_subscriber_that_leaves_does_not_disturb_another(subscribe):
    with bound_socket(zmq.PUB) as daemon, zmq.Context() as context:
        address = address_of(daemon)
        stays, leaves = subscribe(address), DisplaySubscriber(context, address)
        for subscriber in (stays, leaves):
            wait_for_subscription(daemon, subscriber, activity(0))
        leaves.close()
        wait_for_subscription(daemon, stays, activity(0))
        for seq in (1, 2, 3):
            daemon.send_multipart(activity(seq))
        assert receive_seqs_until(stays, last=3) == [1, 2, 3]
    assert stays.n_missed == 0


def test_a_restarted_daemon_is_received_again_and_no_message_counts_as_lost(subscribe):
    with bound_socket(zmq.PUB) as daemon:
        address = address_of(daemon)
        subscriber = subscribe(address)
        wait_for_subscription(daemon, subscriber, activity(900))
    with bound_socket(zmq.PUB, address) as daemon:
        first = activity(0, session="s2")
        received = wait_for_subscription(daemon, subscriber, first)
    assert received[0][0].session == "s2"
    assert subscriber.n_missed == 0


def movie(n_final: int) -> messages.Movie:
    return messages.Movie(
        session="s",
        seq=0,
        t=0.0,
        encoder_frame=9,
        n_final=n_final,
        lag_s=0.5,
        shape=(2, 3, 4),
        n_steps=1,
        t_frame=0.0,
    )


def test_each_process_counts_its_own_health_messages(subscribe):
    with bound_socket(zmq.PUB) as daemon:
        subscriber = subscribe(address_of(daemon))
        wait_for_subscription(daemon, subscriber, activity(0))
        for i in range(5):
            daemon.send_multipart(health("daemon", 900 + i))
            daemon.send_multipart(health("inverter", i))
        daemon.send_multipart(activity(1))
        receive_seqs_until(subscriber, last=1)
    assert subscriber.n_missed == 0


# of the messages 1, 2 and 6, how many belong to a backlog -> how many count as lost
BACKLOGS = {"no backlog": (0, 3), "in a backlog": (3, 0), "at its end": (2, 0)}


@pytest.mark.parametrize(("n_backlog", "n_missed"), BACKLOGS.values(), ids=BACKLOGS)
def test_messages_lost_while_the_daemon_processes_a_backlog_are_not_counted(
    subscribe, n_backlog, n_missed
):
    with bound_socket(zmq.PUB) as daemon:
        subscriber = subscribe(address_of(daemon))
        wait_for_subscription(daemon, subscriber, activity(0))
        for i, seq in enumerate((1, 2, 6)):
            daemon.send_multipart(activity(seq, is_backlog=i < n_backlog))
        assert receive_seqs_until(subscriber, last=6) == [1, 2, 6]
    assert subscriber.n_missed == n_missed


FRAMES = np.zeros((2, 3, 4), np.uint8)
INVALID = {  # message parts, words of the error
    "no JSON": ([b"movie", b"{", b""], "not valid|does not parse|cannot"),
    "the header of another topic": ([b"field", *activity(0)[1:]], "activity"),
    "a payload shorter than its shape": (
        [*messages.encode_published(movie(1))[:2], b"123"],
        "24",
    ),
    "no payload": (messages.encode_published(movie(1)), "without its payload"),
    "more final frames than frames": (
        messages.encode_published(movie(3), FRAMES),
        "has 2 frames, but n_final = 3",
    ),
    "information about other frames": (
        messages.encode_published(
            msgspec.structs.replace(movie(1), information_fraction=[1.0] * 3), FRAMES
        ),
        "has 2 frames, but 3 values of information_fraction",
    ),
    "predictions of other neurons": (
        messages.encode_published(
            messages.Quality(
                session="s",
                seq=0,
                t=0.0,
                encoder_frame=9,
                lag_s=0.5,
                held_out=messages.HeldOutPrediction(0, [3, 4], [[0.5, 0.5], [0.5]]),
            )
        ),
        r"\[1, 2\] values per frame, but has 2 held-out neurons",
    ),
    "half a float": ([*activity(0)[:2], b"12345"], "5 bytes"),
    "two parts": ([b"movie", b"{}"], "2 parts"),
}


@pytest.fixture(scope="module")
def publishing() -> Iterator[tuple[zmq.Socket, DisplaySubscriber]]:
    """A daemon's socket and a subscriber that receives from it."""
    with (
        bound_socket(zmq.PUB) as daemon,
        zmq.Context() as context,
        closing(DisplaySubscriber(context, address_of(daemon))) as subscriber,
    ):
        wait_for_subscription(daemon, subscriber, activity(0))
        yield daemon, subscriber


@pytest.mark.parametrize(("parts", "error"), INVALID.values(), ids=INVALID)
def test_an_invalid_message_is_counted_and_explained(publishing, parts, error):
    daemon, subscriber = publishing
    n_invalid = subscriber.n_invalid
    daemon.send_multipart(parts)
    daemon.send_multipart(activity(1))
    assert receive_seqs_until(subscriber, last=1) == [1]
    assert subscriber.n_invalid == n_invalid + 1
    with pytest.raises(messages.WireError, match=error):
        raise messages.WireError(subscriber.last_error)


ANSWERS = {  # what the daemon sends, what the display shows
    "a sentence": (b'{"ok": true, "sentence": "Marked."}', "Marked."),
    "no JSON": (b"Marked.", "cannot be read"),
    "no sentence": (b'{"ok": true}', "cannot be read"),
    "no object": (b"[1]", "cannot be read"),
}


@pytest.mark.parametrize(("answer", "sentence"), ANSWERS.values(), ids=ANSWERS)
def test_a_request_reaches_the_daemon_and_its_answer_comes_back(answer, sentence):
    with (
        bound_socket(zmq.ROUTER) as daemon,
        request_socket(address_of(daemon)) as requests,
    ):
        assert wait_until(lambda: requests.send_request("mark", note="now"))
        *route, request = daemon.recv_multipart()
        assert json.loads(request) == {"op": "mark", "note": "now"}
        assert requests.receive_answer() is None
        daemon.send_multipart([*route, answer])
        assert sentence in wait_until(requests.receive_answer).sentence


def test_a_request_without_a_daemon_is_not_queued():
    with request_socket(NO_DAEMON) as requests:
        assert not requests.send_request("mark")


def test_an_invalid_address_is_refused_with_a_sentence():
    with zmq.Context() as context:
        for make in (DisplaySubscriber, RequestSocket):
            with pytest.raises(AddressError, match="is not an address"):
                make(context, "localhost")


LABELS = np.arange(6, dtype="<u4").tobytes()
NO_MASKS = {  # fields of the answer, its attachments
    "a daemon without a session": ({"ok": False}, []),
    "no attachment": ({"masks": [1, 2, 3]}, []),
    "too few labels": ({"masks": [1, 2, 4]}, [LABELS]),
    "half a label": ({"masks": [1, 2, 3]}, [LABELS[:-1]]),
    "no shape": ({"masks": "all"}, [LABELS]),
}


def test_masks_are_read_as_planes_of_labels():
    labels = read_masks(Answer("", {"masks": [1, 2, 3]}, [LABELS]))
    np.testing.assert_array_equal(labels, [[[0, 1, 2], [3, 4, 5]]])


@pytest.mark.parametrize(("fields", "attachments"), NO_MASKS.values(), ids=NO_MASKS)
def test_an_answer_without_valid_masks_gives_none(fields, attachments):
    assert read_masks(Answer("", fields, attachments)) is None
