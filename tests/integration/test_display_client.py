"""The display's sockets against real ones on free ports."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import msgspec
import numpy as np
import pytest
import zmq

from rtrecon.display.client import Answer, Asker, Listener, masks_of
from rtrecon.protocol import messages
from rtrecon.testing.waiting import until
from rtrecon.transport.sockets import AddressError

TIMEOUT_S = 5.0
ACTIVITY = np.arange(4, dtype=np.float32)


def activity(seq: int, session: str = "s", late: bool = False) -> list:
    message = messages.Activity(
        session=session, seq=seq, t=0.0, index=seq, frame=seq, t_frame=0.0, late=late
    )
    return messages.encode_published(message, ACTIVITY)


@contextmanager
def bound(kind: int, address: str = "tcp://127.0.0.1:0") -> Iterator[zmq.Socket]:
    """A daemon's socket, on a free port unless told which."""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        socket.bind(address)
        yield socket


@contextmanager
def asking(address: str) -> Iterator[Asker]:
    with zmq.Context() as context, closing(Asker(context, address)) as asker:
        yield asker


def address_of(socket: zmq.Socket) -> str:
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


@pytest.fixture
def listen() -> Iterator[Callable[[str], Listener]]:
    with zmq.Context() as context, ExitStack() as opened:
        yield lambda address: opened.enter_context(closing(Listener(context, address)))


def first_heard(daemon: zmq.Socket, listener: Listener, parts: list) -> list:
    """Publish the same until something arrives: a subscriber joins when it joins."""

    def published() -> list:
        daemon.send_multipart(parts)
        time.sleep(0.02)
        return listener.receive()

    received = until(published)
    time.sleep(0.1)
    return received + listener.receive()


def seqs_until(listener: Listener, last: int) -> list[int]:
    """Receive until message `last` has come; return the numbers of all that came."""
    seqs: list[int] = []
    until(lambda: seqs.extend(m.seq for m, _ in listener.receive()) or last in seqs)
    return seqs


def test_all_that_waits_comes_at_once_and_in_order(listen):
    with bound(zmq.PUB) as daemon:
        listener = listen(address_of(daemon))
        first_heard(daemon, listener, activity(0))
        for seq in range(1, 31):
            daemon.send_multipart(activity(seq))
        time.sleep(0.3)
        received = listener.receive()
    assert [message.seq for message, _ in received] == [*range(1, 31)]
    np.testing.assert_array_equal(received[-1][1], ACTIVITY)
    assert listener.missed == 0


def test_without_a_daemon_there_is_nothing_and_no_wait(listen):
    listener = listen("tcp://127.0.0.1:9")
    began_s = time.monotonic()
    assert [listener.receive() for _ in range(100)] == [[]] * 100
    assert time.monotonic() - began_s < 1.0


def test_what_got_lost_on_the_way_is_counted(listen):
    with bound(zmq.PUB) as daemon:
        listener = listen(address_of(daemon))
        first_heard(daemon, listener, activity(0))
        for seq in (1, 2, 6):
            daemon.send_multipart(activity(seq))
        assert seqs_until(listener, last=6) == [1, 2, 6]
    assert listener.missed == 3


def test_several_listen_at_once_and_none_minds_when_another_leaves(listen):
    with bound(zmq.PUB) as daemon, zmq.Context() as context:
        stays, leaves = (
            listen(address_of(daemon)),
            Listener(context, address_of(daemon)),
        )
        for listener in (stays, leaves):
            first_heard(daemon, listener, activity(0))
        leaves.close()
        stays.receive()
        for seq in (1, 2, 3):
            daemon.send_multipart(activity(seq))
        assert seqs_until(stays, last=3) == [1, 2, 3]
    assert stays.missed == 0


def test_a_restarted_daemon_is_heard_again_and_nothing_counts_as_missed(listen):
    with bound(zmq.PUB) as daemon:
        address = address_of(daemon)
        listener = listen(address)
        first_heard(daemon, listener, activity(900))
    with bound(zmq.PUB, address) as daemon:
        again = first_heard(daemon, listener, activity(0, session="s2"))
    assert again[0][0].session == "s2"
    assert listener.missed == 0


def movie(final: int) -> messages.Movie:
    return messages.Movie(
        session="s",
        seq=0,
        t=0.0,
        index=9,
        final=final,
        lag=0.5,
        shape=(2, 3, 4),
        steps=1,
        t_frame=0.0,
    )


def test_stations_that_number_their_own_messages_are_not_mistaken(listen):
    def health(station: str, seq: int) -> list:
        message = messages.Health(
            session="s", seq=seq, t=0.0, station=station, state="running"
        )
        return messages.encode_published(message)

    with bound(zmq.PUB) as daemon:
        listener = listen(address_of(daemon))
        first_heard(daemon, listener, activity(0))
        for nth in range(5):
            daemon.send_multipart(health("front", 900 + nth))
            daemon.send_multipart(health("inverter", nth))
        daemon.send_multipart(activity(1))
        seqs_until(listener, last=1)
    assert listener.missed == 0


# messages 1, 2 and 6 come, of which so many are late -> how many count as missed
BURSTS = {"no burst": (0, 3), "in a burst": (3, 0), "at its end": (2, 0)}


@pytest.mark.parametrize(("n_late", "missed"), BURSTS.values(), ids=BURSTS)
def test_what_a_catching_up_daemon_drops_is_no_alarm(listen, n_late, missed):
    with bound(zmq.PUB) as daemon:
        listener = listen(address_of(daemon))
        first_heard(daemon, listener, activity(0))
        for nth, seq in enumerate((1, 2, 6)):
            daemon.send_multipart(activity(seq, late=nth < n_late))
        assert seqs_until(listener, last=6) == [1, 2, 6]
    assert listener.missed == missed


BAD = {  # three parts, what the complaint says
    "not json": ([b"movie", b"{", b""], "does not parse"),
    "another topic's header": ([b"field", *activity(0)[1:]], "carries a activity"),
    "too short for its shape": (
        [*messages.encode_published(movie(1))[:2], b"123"],
        "needs 24",
    ),
    "without its picture": (messages.encode_published(movie(1)), "without its payload"),
    "more final frames than frames": (
        messages.encode_published(movie(3), np.zeros((2, 3, 4), np.uint8)),
        "3 of its 2 frames",
    ),
    "told of other frames than there are": (
        messages.encode_published(
            msgspec.structs.replace(movie(1), information_fraction=[1.0] * 3),
            np.zeros((2, 3, 4), np.uint8),
        ),
        "has 2 frames and says of 3",
    ),
    "predictions of nobody": (
        messages.encode_published(
            messages.Quality(
                session="s",
                seq=0,
                t=0.0,
                index=9,
                lag=0.5,
                held_out=messages.HeldOut(0, [3, 4], [[0.5, 0.5], [0.5]]),
            )
        ),
        "[1, 2] values per frame for 2 held-out neurons",
    ),
    "floats cut in half": ([*activity(0)[:2], b"12345"], "5 bytes"),
    "two parts": ([b"movie", b"{}"], "2 parts"),
}


@pytest.mark.parametrize(("parts", "complaint"), BAD.values(), ids=BAD)
def test_what_breaks_the_contract_is_refused_in_words(listen, parts, complaint):
    with bound(zmq.PUB) as daemon:
        listener = listen(address_of(daemon))
        first_heard(daemon, listener, activity(0))
        daemon.send_multipart(parts)
        daemon.send_multipart(activity(1))
        assert seqs_until(listener, last=1) == [1]
    assert listener.refused == 1
    assert complaint in listener.complaint


ANSWERS = {  # what the daemon sends back, what is shown
    "a sentence": (b'{"ok": true, "sentence": "Marked."}', "Marked."),
    "not json": (b"Marked.", "cannot be read"),
    "no sentence": (b'{"ok": true}', "cannot be read"),
    "not an object": (b"[1]", "cannot be read"),
}


@pytest.mark.parametrize(("answer", "shown"), ANSWERS.values(), ids=ANSWERS)
def test_a_request_reaches_the_daemon_and_its_answer_comes_back(answer, shown):
    with bound(zmq.ROUTER) as daemon, asking(address_of(daemon)) as asker:
        assert until(lambda: asker.ask("mark", note="now"))
        *route, request = daemon.recv_multipart()
        assert json.loads(request) == {"op": "mark", "note": "now"}
        assert asker.answer() is None
        daemon.send_multipart([*route, answer])
        assert shown in until(asker.answer).sentence


def test_without_a_daemon_a_request_is_not_kept_for_later():
    with asking("tcp://127.0.0.1:9") as asker:
        assert not asker.ask("mark")


def test_an_address_that_is_none_is_refused_in_words():
    with zmq.Context() as context:
        for make in (Listener, Asker):
            with pytest.raises(AddressError, match="is not an address"):
                make(context, "localhost")


LABELS = np.arange(6, dtype="<u2").tobytes()
NO_MASKS = {  # fields of the answer, what is attached
    "a daemon that does not know": ({"ok": False}, []),
    "nothing attached": ({"masks": [1, 2, 3]}, []),
    "too few": ({"masks": [1, 2, 4]}, [LABELS]),
    "half a label": ({"masks": [1, 2, 3]}, [LABELS[:-1]]),
    "nonsense": ({"masks": "all"}, [LABELS]),
}


def test_masks_come_as_planes_of_labels():
    labels = masks_of(Answer("", {"masks": [1, 2, 3]}, [LABELS]))
    np.testing.assert_array_equal(labels, [[[0, 1, 2], [3, 4, 5]]])


@pytest.mark.parametrize(("fields", "attached"), NO_MASKS.values(), ids=NO_MASKS)
def test_an_answer_without_masks_is_none(fields, attached):
    assert masks_of(Answer("", fields, attached)) is None
