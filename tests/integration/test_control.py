"""Requests to a running daemon, over its own socket."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.protocol import messages
from rtrecon.session.session import Session as Record
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    PROMPT_S,
    Daemon,
    Scope,
    small_frames,
    small_settings,
)
from rtrecon.transport import sockets
from rtrecon.transport.control import ControlError, ask, ask_attached

# what is sent -> words of the answer, which is never silence
REFUSED = {
    "an unknown op": (b'{"op": "fly"}', "unknown op 'fly'; known: .*masks, neurons"),
    "no op": (b"{}", "does not parse: .*`op`"),
    "no object": (b"[1]", "does not parse"),
    "no JSON": (b"{op: stop}", "does not parse"),
    "no text": (b"\xff\x00\xfe", "does not parse"),
    "nothing": (b"", "does not parse"),
    "a wrong type": (b'{"op": "record", "on": "perhaps"}', "does not parse: .*bool"),
    "a bomb": (b"[" * 100_000, "does not parse"),
    "nothing to refer to": (b'{"op": "reference"}', "no session is running"),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control")
    with Daemon(folder, small_settings(folder)) as daemon:
        yield daemon


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_answered_with_why(daemon, case):
    request, words = REFUSED[case]
    with zmq.Context() as context:
        socket = sockets.connect(context, zmq.REQ, daemon.settings.wire.control)
        socket.send(request)
        assert socket.poll(5000), "no answer"
        answer = json.loads(socket.recv())
        socket.close(linger=0)
    assert answer["ok"] is False
    assert re.search(words, answer["sentence"])


def test_a_late_joiner_is_told_how_things_stand(daemon):
    with Scope(daemon) as scope:
        scope.scan(40)
        scope.until_processed()
        status = daemon.ask("status")
        assert status["ok"]
        assert status["state"] in ("running", "idle")  # idle after a second of silence
        assert status["session"] == scope.session
        assert status["frames_processed"] == 40
        assert status["sentence"] == f"{status['state']}, 40 frames processed"
        assert status["inverter_pid"] is None  # there is no encoder
        assert Record(Path(status["recording"])).about.session == scope.session


def test_the_past_second_of_activity_can_be_had(daemon):
    with Scope(daemon) as scope:
        scope.scan(50)
        scope.until_processed()
        _, parts = ask_attached(daemon.settings.wire.control, "history")
    past = [
        messages.decode_published(parts[i : i + 3]) for i in range(0, len(parts), 3)
    ]
    indices = [message.index for message, _ in past]
    assert len(past) == daemon.settings.invert.window_frames
    # The last frames wait for the ones after them, which deconvolution looks at.
    newest = 49 - daemon.settings.traces.deconvolve_lag_frames
    assert indices == list(range(newest + 1 - len(past), newest + 1))
    heard = {
        message.index: values
        for message, values in daemon.heard
        if isinstance(message, messages.Activity) and message.session == scope.session
    }
    assert all(np.array_equal(values, heard[m.index]) for m, values in past)


def test_a_mark_is_heard_and_recorded(daemon):
    def marked() -> list[str]:
        events = [e for record in daemon.records(scope.session) for e in record.events]
        return [event.message for event in events if event.name == "mark"]

    with Scope(daemon) as scope:
        scope.scan(5)
        daemon.until(lambda: daemon.ask("status")["session"] == scope.session)
        assert daemon.ask("mark", note="the mouse sneezed")["sentence"] == "noted"
        daemon.until(lambda: daemon.events("mark") and marked())
    assert [e.message for e in daemon.events("mark")] == ["the mouse sneezed"]
    assert marked() == ["the mouse sneezed"]


def test_recording_is_switched_off_and_on_again(daemon):
    def recorded() -> list[list[float]]:
        return [r.frames["frame"].tolist() for r in daemon.records(scope.session)]

    with Scope(daemon) as scope:
        scope.scan(30)
        scope.until_processed()
        assert daemon.ask("record", on=False)["sentence"] == "recording is off"
        assert daemon.ask("status")["recording"] is None
        scope.scan(30)
        scope.until_processed()
        assert daemon.ask("record", on=True)["sentence"] == "recording is on"
        scope.scan(30)
        scope.until_processed()
    expected = [list(range(1, 31)), list(range(61, 91))]
    daemon.until(lambda: recorded() == expected)


def test_a_new_reference_is_made_of_the_next_frames(daemon):
    with Scope(daemon) as scope:
        scope.scan(40)
        scope.frames = small_frames(moved_px=(6.0, -4.0))
        scope.scan(20)
        scope.until_processed()
        assert "new reference" in daemon.ask("reference")["sentence"]
        scope.scan(N_TEMPLATE - 1)
        daemon.until(lambda: daemon.ask("status")["state"] == "calibrating")
        scope.scan(20)
        scope.until_processed()
    daemon.until(lambda: len(daemon.records(scope.session)[0].frames) == scope.sent)
    frames = daemon.records(scope.session)[0].frames
    shift_px = np.stack([frames["shift_y_px"], frames["shift_x_px"]], 1)
    assert frames["frame"].tolist() == list(range(1, scope.sent + 1))
    assert np.median(shift_px[:40], 0) == pytest.approx([0, 0], abs=0.4)
    assert np.median(shift_px[40:60], 0) == pytest.approx([6, -4], abs=0.4)
    assert np.median(shift_px[60:], 0) == pytest.approx([0, 0], abs=0.4)


def test_stop_ends_it_and_then_nobody_answers(tmp_path):
    with Daemon(tmp_path, small_settings(tmp_path)) as daemon:
        assert daemon.ask("stop") == {"ok": True, "sentence": "stopping"}
        assert daemon.process.wait(PROMPT_S) == 0
        assert "the daemon stops" in daemon.said
        with pytest.raises(ControlError, match=r"no daemon answers .*; is `rtrecon"):
            daemon.ask("status")


def test_a_refusal_is_an_error_to_who_asks(daemon):
    with pytest.raises(ControlError, match="unknown op 'fly'"):
        ask(daemon.settings.wire.control, "fly")
