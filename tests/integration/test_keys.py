"""Keys: made, guarded, and the only way in, in either direction."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.config import WireSettings
from rtrecon.daemon.sockets import Doors
from rtrecon.display.client import Listener
from rtrecon.protocol import messages
from rtrecon.replay.client import Outlet, ReplayError
from rtrecon.testing.daemon_process import (
    RATE_HZ,
    SHAPE,
    SLOW_S,
    Daemon,
    Scope,
    rtrecon,
    small_frames,
    small_settings,
)
from rtrecon.testing.framed_sender import FramedSender
from rtrecon.testing.waiting import until
from rtrecon.transport import keys, sockets
from rtrecon.transport.control import ControlError, ask
from rtrecon.transport.keys import ClientKeys, KeyFault
from rtrecon.transport.sender import Sender

SCOPE = "scope-pc"
PATIENCE_S = 1.5  # for what must not come

# what is done to a key folder -> words of the sentence with which it is refused
FAULTS = {
    "no secret": (
        lambda folder: (folder / "server.key_secret").unlink(),
        "server.key_secret cannot be read: .*make keys with: rtrecon keys",
    ),
    "nobody allowed": (
        lambda folder: (
            [*map(Path.unlink, (folder / "allowed").iterdir())]
            and (folder / "allowed").rmdir()
        ),
        "allowed is not there, so nobody would be let in",
    ),
    "no key in it": (
        lambda folder: (folder / "server.key_secret").write_text("curve\n"),
        "server.key_secret cannot be read: No public key",
    ),
    "a key cut short": (
        lambda folder: (folder / "server.key_secret").write_text(
            'public-key = "abcde"\nsecret-key = "abcde"\n'
        ),
        "it holds no key of 40 characters",
    ),
    "only the public half": (
        lambda folder: (folder / "server.key_secret").write_bytes(
            (folder / "server.key").read_bytes()
        ),
        "holds no secret key",
    ),
}


def token(folder: Path) -> bytes:
    return keys.read_token(folder / "token")


@pytest.fixture
def folder(tmp_path):
    keys.make_keys(tmp_path / "keys", (SCOPE,))
    return tmp_path / "keys"


def test_files_are_made_once_and_secrets_are_for_their_owner_only(folder):
    secret = {"server.key_secret", "client.key_secret", "token"}
    handed_out = {"server.key", "client.key_secret", "token"}
    assert {f.name for f in folder.iterdir() if f.is_file()} == {*secret, "server.key"}
    assert {f.name for f in (folder / SCOPE).iterdir()} == handed_out
    allowed = {f.name for f in (folder / "allowed").iterdir()}
    assert allowed == {"client.key", f"{SCOPE}.key"}
    if os.name == "posix":
        for path in [*map(folder.joinpath, secret), folder / SCOPE / "token"]:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert keys.make_keys(folder) == [f"{folder} has all its keys already"]
    assert {path: path.read_bytes() for path in before} == before


def test_each_computer_has_a_key_of_its_own_and_the_same_daemon(folder):
    own, scope = keys.client_keys(folder), keys.client_keys(folder / SCOPE)
    assert own.server == scope.server
    assert own.secret != scope.secret
    daemon = keys.daemon_keys(folder)
    assert daemon.allows(own.public)
    assert daemon.allows(scope.public)
    assert not daemon.allows(own.server)
    assert token(folder) == token(folder / SCOPE)
    assert len(token(folder)) == 43


def test_a_computer_that_has_keys_is_not_given_others_by_mistake(folder):
    with pytest.raises(KeyFault, match="has keys already; to make them anew, delete"):
        keys.make_keys(folder, (SCOPE,))


@pytest.mark.parametrize("name", ["", "..", "a/b", "allowed", "server", "x" * 40])
def test_a_name_that_could_be_a_path_is_refused(tmp_path, name):
    with pytest.raises(KeyFault, match="cannot name a computer"):
        keys.make_keys(tmp_path / "keys", (name,))
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("case", FAULTS)
def test_keys_that_do_not_serve_are_refused_with_what_to_do(folder, case):
    spoil, words = FAULTS[case]
    spoil(folder)
    if os.name == "posix" and (folder / "server.key_secret").exists():
        (folder / "server.key_secret").chmod(0o600)
    with pytest.raises(KeyFault, match=words):
        keys.daemon_keys(folder)


@pytest.mark.skipif(os.name != "posix", reason="files have other permissions here")
@pytest.mark.parametrize(
    ("name", "read"), [("client.key_secret", keys.client_keys), ("token", token)]
)
def test_a_secret_that_others_can_read_is_refused(folder, name, read):
    (folder / name).chmod(0o644)
    with pytest.raises(KeyFault, match=f"{name} can be read by .*chmod 600"):
        read(folder)


def test_a_token_that_could_be_guessed_is_refused(folder):
    (folder / "token").write_text("mouse\n")
    with pytest.raises(KeyFault, match="has 5 characters, fewer than 16"):
        token(folder)


def test_a_bad_file_among_the_allowed_lets_nobody_in_and_harms_nobody(folder):
    (folder / "allowed" / "odd.key").write_text("not a key")
    assert not keys.daemon_keys(folder).allows(keys.client_keys(folder).public)


def test_the_command_says_what_goes_where(tmp_path):
    done = rtrecon("keys", tmp_path / "keys", SCOPE)
    assert done.returncode == 0
    assert f"write keys = '{tmp_path / 'keys'}' under [wire]" in done.stdout
    assert "move it there by a safe way" in done.stdout
    again = rtrecon("keys", tmp_path / "keys", SCOPE)
    assert (again.returncode, "Traceback" in again.stderr) == (2, False)


def test_with_keys_other_machines_may_be_listened_to(folder, free_address):
    wide = {
        name: free_address().replace("127.0.0.1", "0.0.0.0")
        for name in ("frames", "tcp", "publish", "control", "results")
    }
    Doors.bind(WireSettings(**wide, keys=str(folder))).close()


# -- a daemon with keys ----------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    keys.make_keys(folder / "keys", (SCOPE, "lost"))
    return folder


@pytest.fixture(scope="module")
def daemon(home):
    open_ = small_settings(home)
    locked = open_.wire.model_copy(update={"keys": str(home / "keys")})
    with Daemon(home, open_.model_copy(update={"wire": locked})) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def strangers(home, tmp_path_factory) -> dict[str, ClientKeys | None]:
    """Who should have nothing: by name, what they connect with."""
    own = keys.client_keys(home / "keys")
    other = tmp_path_factory.mktemp("stranger") / "keys"
    keys.make_keys(other)
    theirs = keys.client_keys(other)
    return {
        "no keys": None,
        "a key of their own": ClientKeys(own.server, theirs.public, theirs.secret),
        "a friend's public half": ClientKeys(own.server, own.public, theirs.secret),
        "another daemon's": theirs,
    }


@pytest.fixture
def knocking(strangers):
    """Opens a socket for each stranger, and closes them after the test."""
    with contextlib.ExitStack() as opened:
        context = opened.enter_context(zmq.Context())

        def knock(kind: int, address: str) -> list[sockets.Socket]:
            knocking = [
                sockets.connect(context, kind, address, keys)
                for keys in strangers.values()
            ]
            for socket in knocking:
                opened.callback(socket.close, linger=0)
            return knocking

        yield knock


def ready(sockets_: list[sockets.Socket], event: int) -> list[tuple[object, int]]:
    """Return which of them are, as soon as one is, or none after a while."""
    poller = zmq.Poller()
    for socket in sockets_:
        poller.register(socket, event)
    return poller.poll(1000 * PATIENCE_S)


def test_strangers_are_told_nothing(daemon, knocking):
    ears = knocking(zmq.SUB, daemon.settings.wire.publish)
    daemon.until(lambda: len(daemon.all(messages.Health)) > 2)
    daemon.ask("mark", note="a secret")
    assert not ready(ears, zmq.POLLIN)
    daemon.until(lambda: daemon.events("mark"))  # as a friend is


def test_strangers_are_not_listened_to(daemon, knocking):
    for address in (daemon.settings.wire.frames, daemon.settings.wire.results):
        assert not ready(knocking(zmq.PUSH, address), zmq.POLLOUT)


def test_strangers_are_not_obeyed(daemon, knocking):
    asking = knocking(zmq.REQ, daemon.settings.wire.control)
    for socket in asking:
        socket.send(b'{"op": "stop"}')
    assert not ready(asking, zmq.POLLIN)
    assert daemon.process.poll() is None


def test_a_sender_without_the_right_key_counts_what_it_lost(daemon, strangers):
    layout = {"source": "stranger", "rate_hz": RATE_HZ, "shape": SHAPE}
    frames = daemon.settings.wire.frames
    sender = Sender(frames, strangers["a key of their own"], **layout)
    assert not sender.wait_for_daemon(PATIENCE_S)
    assert not sender.frame(small_frames()[0], 1, 0.0)
    sender.close(linger_s=0.0)
    assert sender.dropped == 1
    assert daemon.ask("status")["session"] != sender.session


# stranger -> what it is told of the daemon that does not let it in
TOLD = {
    "no keys": "wants keys; name a folder",
    "a key of their own": "does not know this key; make one",
    "a friend's public half": "has other keys, or none; take",
    "another daemon's": "has other keys, or none; take",
}


@pytest.mark.parametrize("stranger", TOLD)
def test_strangers_are_told_why_at_once(daemon, strangers, stranger):
    wire_, theirs = daemon.settings.wire, strangers[stranger]
    expected = f"the daemon at tcp://.* {TOLD[stranger]}"
    with pytest.raises(ControlError, match=expected):
        ask(wire_.control, "status", theirs)
    outlet = Outlet(wire_.frames, theirs, timeout_s=SLOW_S)
    layout = {"source": "stranger", "rate_hz": RATE_HZ, "shape": SHAPE}
    with pytest.raises(ReplayError, match=expected), outlet.session(**layout):
        pass
    with (
        zmq.Context() as context,
        closing(Listener(context, wire_.publish, theirs)) as display,
    ):
        until(lambda: re.match(expected, display.refusal()))


def test_who_has_keys_for_a_daemon_that_has_none_is_told(folder, free_address):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as control:
        control.bind(address := free_address())
        with pytest.raises(ControlError, match=r"has (no keys;|other keys, or none)"):
            ask(address, "status", keys.client_keys(folder))


@pytest.mark.long
def test_who_did_not_ask_for_long_why_it_is_not_let_in_can_go(
    daemon, strangers, monkeypatch
):
    """ZeroMQ stops once enough was not read; it must not keep us from closing."""
    client = sockets.client

    def impatient(*given):
        socket = client(*given)
        socket.reconnect_ivl = 1  # ms
        return socket

    monkeypatch.setattr(sockets, "client", impatient)
    publish, theirs = daemon.settings.wire.publish, strangers["another daemon's"]
    with zmq.Context() as context, closing(Listener(context, publish, theirs)):
        time.sleep(10)


def test_who_is_let_in_after_all_is_told_nothing(daemon, home):
    wire_, own = daemon.settings.wire, keys.client_keys(home / "keys")
    with (
        zmq.Context() as context,
        closing(Listener(context, wire_.publish, own)) as display,
    ):
        until(display.receive)
        assert display.refusal() == ""


def test_who_knocks_with_an_unknown_key_is_told(daemon, strangers, knocking):
    unknown = strangers["a key of their own"].public.decode()
    knocking(zmq.SUB, daemon.settings.wire.publish)
    daemon.until(
        lambda: any(unknown in event.message for event in daemon.events("refused"))
    )


def test_by_framed_tcp_one_has_to_know_the_token(daemon, home):
    address = daemon.settings.wire.tcp
    with pytest.raises(ConnectionRefusedError):
        FramedSender(address, b"a word that is wrong")
    with FramedSender(address, token(home / "keys" / SCOPE)) as sender:
        sender.start(SHAPE)
        sender.frame(small_frames()[0], 1, 0.0)
        sender.thanked(wait=True)
    daemon.until(lambda: daemon.health().session == sender.session)


def test_friends_on_any_computer_are_heard_and_hear(daemon, home):
    wire_ = daemon.settings.wire
    with Scope(daemon) as scope:  # on this computer
        scope.scan(20)
        health = scope.until_processed()
    assert (health.frames_processed, health.gaps) == (20, messages.Gaps())
    handed_out = keys.client_keys(home / "keys" / SCOPE)  # to another one
    assert ask(wire_.control, "status", handed_out)["session"] == scope.session
    sender = Sender(
        wire_.frames, handed_out, source="friend", rate_hz=RATE_HZ, shape=SHAPE
    )
    assert sender.wait_for_daemon()
    assert sender.frame(np.zeros(SHAPE, np.int16), 1, 0.0)
    daemon.until(lambda: daemon.health().session == sender.session)
    sender.close()


def test_a_key_taken_out_of_the_folder_does_not_open_any_more(daemon, home):
    lost = keys.client_keys(home / "keys" / "lost")
    control = daemon.settings.wire.control
    assert ask(control, "status", lost)["ok"]
    (home / "keys" / "allowed" / "lost.key").unlink()
    with pytest.raises(ControlError, match="does not know this key"):
        ask(control, "status", lost)


def test_a_display_and_a_replay_take_a_key_folder(daemon, home):
    for command in ("display", "replay"):
        assert "--keys" in rtrecon(command, "--help").stdout
    none = rtrecon("replay", "no.tif", "--keys", home / "nothing")
    assert none.returncode == 2
    assert "cannot be read" in none.stderr
