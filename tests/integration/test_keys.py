"""A daemon with keys: what clients with and without an allowed key can do."""

from __future__ import annotations

import contextlib
import re
import time
from contextlib import closing

import numpy as np
import pytest
import zmq

from rtrecon.config import NetworkSettings
from rtrecon.daemon.sockets import DaemonSockets
from rtrecon.display.client import DisplaySubscriber
from rtrecon.protocol import messages
from rtrecon.replay.client import ReplayClient, ReplayError
from rtrecon.testing.daemon_process import START_TIMEOUT_S, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SHAPE,
    SimulatedMicroscope,
    make_small_frames,
    make_small_settings,
)
from rtrecon.testing.tcp_sender import TcpSender
from rtrecon.testing.waiting import wait_until
from rtrecon.transport import keys, sockets
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.senders import SessionSender
from tests.support.command_line import run_here

COMPUTER = "microscope-pc"
QUIET_S = 0.5  # how long a test waits for what must not happen


@pytest.fixture
def folder(tmp_path):
    keys.make_keys(tmp_path / "keys", (COMPUTER,))
    return tmp_path / "keys"


def test_the_keys_command_explains_each_file(tmp_path):
    done = run_here("keys", tmp_path / "keys", COMPUTER)
    assert done.returncode == 0
    assert f"write keys = '{tmp_path / 'keys'}' under [network]" in done.stdout
    assert "move it there by a safe way" in done.stdout
    again = run_here("keys", tmp_path / "keys", COMPUTER)
    assert (again.returncode, "Traceback" in again.stderr) == (2, False)


def test_with_keys_a_socket_may_bind_a_network_address(folder, free_address):
    wide = {
        name: free_address().replace("127.0.0.1", "0.0.0.0")
        for name in ("frames", "tcp", "publish", "control", "results")
    }
    DaemonSockets.bind_all(NetworkSettings(**wide, keys=str(folder))).close()


# -- a daemon with keys ----------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    keys.make_keys(folder / "keys", (COMPUTER, "lost"))
    return folder


@pytest.fixture(scope="module")
def daemon(home):
    open_ = make_small_settings(home)
    locked = open_.network.model_copy(update={"keys": home / "keys"})
    with DaemonProcess(home, open_.model_copy(update={"network": locked})) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def intruders(home, tmp_path_factory) -> dict[str, ClientKeys | None]:
    """Clients that must be refused: name -> their keys."""
    own = keys.read_client_keys(home / "keys")
    other = tmp_path_factory.mktemp("intruder") / "keys"
    keys.make_keys(other)
    their_keys = keys.read_client_keys(other)
    return {
        "no keys": None,
        "an unknown key": ClientKeys(own.server, their_keys.public, their_keys.secret),
        "the public key of an allowed client": ClientKeys(
            own.server, own.public, their_keys.secret
        ),
        "keys of another daemon": their_keys,
    }


@pytest.fixture
def connect_intruders(intruders):
    """A function that connects a socket for each intruder; closed after the test."""
    with contextlib.ExitStack() as opened:
        context = opened.enter_context(zmq.Context())

        def connect(kind: int, address: str) -> list[sockets.Socket]:
            connect_intruders = [
                sockets.connect_socket(context, kind, address, keys)
                for keys in intruders.values()
            ]
            for socket in connect_intruders:
                opened.callback(socket.close, linger=0)
            return connect_intruders

        yield connect


def ready(sockets_: list[sockets.Socket], event: int) -> list[tuple[object, int]]:
    """Return the sockets that are ready; none after `QUIET_S`."""
    poller = zmq.Poller()
    for socket in sockets_:
        poller.register(socket, event)
    return poller.poll(1000 * QUIET_S)


def test_clients_without_an_allowed_key_receive_nothing(daemon, connect_intruders):
    subscribers = connect_intruders(zmq.SUB, daemon.settings.network.publish)
    daemon.wait_until(lambda: len(daemon.messages_of(messages.Health)) > 2)
    daemon.call("mark", note="a secret")
    assert not ready(subscribers, zmq.POLLIN)
    daemon.wait_until(lambda: daemon.events_named("mark"))  # as a friend is


def test_frames_of_clients_without_an_allowed_key_are_ignored(
    daemon, connect_intruders
):
    for address in (daemon.settings.network.frames, daemon.settings.network.results):
        assert not ready(connect_intruders(zmq.PUSH, address), zmq.POLLOUT)


def test_requests_of_clients_without_an_allowed_key_are_ignored(
    daemon, connect_intruders
):
    asking = connect_intruders(zmq.REQ, daemon.settings.network.control)
    for socket in asking:
        socket.send(b'{"op": "stop"}')
    assert not ready(asking, zmq.POLLIN)
    assert daemon.process.poll() is None


def test_a_sender_without_the_right_key_counts_dropped_frames(daemon, intruders):
    layout = {"source": "intruder", "rate_hz": RATE_HZ, "shape": SHAPE}
    frames = daemon.settings.network.frames
    sender = SessionSender(frames, intruders["an unknown key"], **layout)
    assert not sender.wait_for_daemon(QUIET_S)
    assert not sender.send_frame(make_small_frames()[0], 1, 0.0)
    sender.close(linger_s=0.0)
    assert sender.n_dropped == 1
    assert daemon.call("status")["session"] != sender.session


# intruder -> the reason that it learns
REASONS = {
    "no keys": "requires keys; name a key folder",
    "an unknown key": "does not know this key; make one",
    "the public key of an allowed client": "has other keys, or none; use",
    "keys of another daemon": "has other keys, or none; use",
}


@pytest.mark.parametrize("intruder", REASONS)
def test_refused_clients_learn_the_reason_at_once(daemon, intruders, intruder):
    network, their_keys = daemon.settings.network, intruders[intruder]
    expected = f"the daemon at tcp://.* {REASONS[intruder]}"
    with pytest.raises(RpcError, match=expected):
        call_daemon(network.control, "status", their_keys)
    replay_client = ReplayClient(network.frames, their_keys, timeout_s=START_TIMEOUT_S)
    layout = {"source": "intruder", "rate_hz": RATE_HZ, "shape": SHAPE}
    with (
        pytest.raises(ReplayError, match=expected),
        replay_client.open_session(**layout),
    ):
        pass
    with (
        zmq.Context() as context,
        closing(DisplaySubscriber(context, network.publish, their_keys)) as display,
    ):
        wait_until(lambda: re.match(expected, display.read_refusal()))


def test_a_client_with_keys_learns_that_the_daemon_has_none(folder, free_address):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as control:
        control.bind(address := free_address())
        with pytest.raises(RpcError, match=r"(uses no keys;|has other keys, or none)"):
            call_daemon(address, "status", keys.read_client_keys(folder))


def test_a_refused_client_can_close_with_many_unread_monitor_events(
    daemon, intruders, monkeypatch
):
    """ZeroMQ stops when many monitor events are unread; closing must still work."""
    client = sockets.make_client_socket

    def impatient(*given):
        socket = client(*given)
        socket.reconnect_ivl = 1  # ms
        return socket

    monkeypatch.setattr(sockets, "make_client_socket", impatient)
    publish, their_keys = (
        daemon.settings.network.publish,
        intruders["keys of another daemon"],
    )
    with (
        zmq.Context() as context,
        closing(DisplaySubscriber(context, publish, their_keys)),
    ):
        time.sleep(10)


def test_an_accepted_client_has_no_refusal(daemon, home):
    network, own = daemon.settings.network, keys.read_client_keys(home / "keys")
    with (
        zmq.Context() as context,
        closing(DisplaySubscriber(context, network.publish, own)) as display,
    ):
        wait_until(display.receive_pending)
        assert display.read_refusal() == ""


def test_the_daemon_reports_clients_with_unknown_keys(
    daemon, intruders, connect_intruders
):
    unknown = intruders["an unknown key"].public.decode()
    connect_intruders(zmq.SUB, daemon.settings.network.publish)
    daemon.wait_until(
        lambda: any(
            unknown in event.message for event in daemon.events_named("refused")
        )
    )


def test_framed_tcp_requires_the_token(daemon, home):
    address = daemon.settings.network.tcp
    with pytest.raises(ConnectionRefusedError):
        TcpSender(address, b"a word that is wrong")
    with TcpSender(
        address, keys.read_token(home / "keys" / COMPUTER / "token")
    ) as sender:
        sender.send_start(SHAPE)
        sender.send_frame(make_small_frames()[0], 1, 0.0)
        sender.read_acknowledgements(wait=True)
    daemon.wait_until(lambda: daemon.newest_health().session == sender.session)


def test_clients_with_allowed_keys_can_send_and_receive(daemon, home):
    network = daemon.settings.network
    with SimulatedMicroscope(daemon) as scope:  # on this computer
        scope.send_frames(20)
        health = scope.wait_until_processed()
    assert (health.frames_processed, health.gaps) == (20, messages.GapCounts())
    allowed_keys = keys.read_client_keys(home / "keys" / COMPUTER)  # to another one
    assert (
        call_daemon(network.control, "status", allowed_keys)["session"] == scope.session
    )
    sender = SessionSender(
        network.frames, allowed_keys, source="allowed", rate_hz=RATE_HZ, shape=SHAPE
    )
    assert sender.wait_for_daemon()
    assert sender.send_frame(np.zeros(SHAPE, np.int16), 1, 0.0)
    daemon.wait_until(lambda: daemon.newest_health().session == sender.session)
    sender.close()


def test_a_deleted_key_is_refused_at_the_next_connection(daemon, home):
    lost = keys.read_client_keys(home / "keys" / "lost")
    control = daemon.settings.network.control
    assert call_daemon(control, "status", lost)["ok"]
    (home / "keys" / "allowed" / "lost.key").unlink()
    with pytest.raises(RpcError, match="does not know this key"):
        call_daemon(control, "status", lost)


def test_display_and_replay_accept_a_key_folder(daemon, home):
    for command in ("display", "replay"):
        assert "--keys" in run_here(command, "--help").stdout
    none = run_here("replay", "no.tif", "--keys", home / "nothing")
    assert none.returncode == 2
    assert "cannot be read" in none.stderr
