"""Requests to a running daemon, over its own socket."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.protocol import messages
from rtrecon.session.session import Session
from rtrecon.testing.daemon_process import N_TEMPLATE, REPLY_TIMEOUT_S, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_frames,
    make_small_settings,
)
from rtrecon.transport import rpc, sockets
from rtrecon.transport.rpc import RpcError, call_daemon, call_daemon_with_payload

# request -> words of the answer
INVALID_REQUESTS = {
    "an unknown op": (b'{"op": "fly"}', "unknown op 'fly'; known: .*masks, neurons"),
    "no op": (b"{}", "does not parse: .*`op`"),
    "no object": (b"[1]", "does not parse"),
    "no JSON": (b"{op: stop}", "does not parse"),
    "no text": (b"\xff\x00\xfe", "does not parse"),
    "nothing": (b"", "does not parse"),
    "a wrong type": (b'{"op": "record", "on": "perhaps"}', "does not parse: .*bool"),
    "deeply nested JSON": (b"[" * 100_000, "does not parse"),
}


@pytest.mark.parametrize("case", INVALID_REQUESTS)
def test_an_invalid_request_is_answered_with_the_reason(small_daemon, case):
    daemon = small_daemon
    request, words = INVALID_REQUESTS[case]
    with zmq.Context() as context:
        socket = sockets.connect_socket(
            context, zmq.REQ, daemon.settings.network.control
        )
        socket.send(request)
        assert socket.poll(5000), "no answer"
        answer = json.loads(socket.recv())
        socket.close(linger=0)
    assert answer["ok"] is False
    assert re.search(words, answer["sentence"])


def test_the_status_describes_the_running_session(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(40)
        microscope.wait_until_processed()
        status = daemon.call("status")
        assert status["ok"]
        assert status["state"] in ("running", "idle")  # idle after a second of silence
        assert status["session"] == microscope.session
        assert status["frames_processed"] == 40
        assert status["sentence"] == f"{status['state']}, 40 frames processed"
        assert status["inverter_pid"] is None  # there is no encoder
        assert Session(Path(status["recording"])).about.session == microscope.session


def test_the_history_holds_the_newest_activity(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(50)
        microscope.wait_until_processed()
        _, parts = call_daemon_with_payload(daemon.settings.network.control, "history")
    history = [
        messages.decode_published(parts[i : i + 3]) for i in range(0, len(parts), 3)
    ]
    indices = [message.encoder_frame for message, _ in history]
    assert len(history) == daemon.settings.inversion.window_frames
    # Deconvolution needs later frames for the newest ones.
    newest = 49 - daemon.settings.traces.deconvolution_lag_frames
    assert indices == list(range(newest + 1 - len(history), newest + 1))
    received = {
        message.encoder_frame: values
        for message, values in daemon.received
        if isinstance(message, messages.Activity)
        and message.session == microscope.session
    }
    assert all(
        np.array_equal(values, received[m.encoder_frame]) for m, values in history
    )


def test_a_mark_is_published_and_recorded(small_daemon):
    daemon = small_daemon

    def marked() -> list[str]:
        events = [
            e for record in daemon.recordings(microscope.session) for e in record.events
        ]
        return [event.message for event in events if event.name == "mark"]

    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(5)
        daemon.wait_until(
            lambda: daemon.call("status")["session"] == microscope.session
        )
        assert daemon.call("mark", note="the mouse sneezed")["sentence"] == "noted"
        daemon.wait_until(lambda: daemon.events_named("mark") and marked())
    assert [e.message for e in daemon.events_named("mark")] == ["the mouse sneezed"]
    assert marked() == ["the mouse sneezed"]


def test_recording_can_be_switched_off_and_on(small_daemon):
    daemon = small_daemon

    def recorded() -> list[list[float]]:
        return [
            r.frames["frame"].tolist() for r in daemon.recordings(microscope.session)
        ]

    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(30)
        microscope.wait_until_processed()
        assert daemon.call("record", on=False)["sentence"] == "recording is off"
        assert daemon.call("status")["recording"] is None
        microscope.send_frames(30)
        microscope.wait_until_processed()
        assert daemon.call("record", on=True)["sentence"] == "recording is on"
        microscope.send_frames(30)
        microscope.wait_until_processed()
    expected = [list(range(1, 31)), list(range(61, 91))]
    daemon.wait_until(lambda: recorded() == expected)


def test_a_new_reference_is_built_from_the_next_frames(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(40)
        microscope.frames = make_small_frames(shift_px=(6.0, -4.0))
        microscope.send_frames(20)
        microscope.wait_until_processed()
        assert "new reference" in daemon.call("reference")["sentence"]
        microscope.send_frames(N_TEMPLATE - 1)
        daemon.wait_until(lambda: daemon.call("status")["state"] == "calibrating")
        microscope.send_frames(20)
        microscope.wait_until_processed()
    daemon.wait_until(
        lambda: (
            len(daemon.recordings(microscope.session)[0].frames) == microscope.n_sent
        )
    )
    frames = daemon.recordings(microscope.session)[0].frames
    shift_px = np.stack([frames["shift_y_px"], frames["shift_x_px"]], 1)
    assert frames["frame"].tolist() == list(range(1, microscope.n_sent + 1))
    assert np.median(shift_px[:40], 0) == pytest.approx([0, 0], abs=0.4)
    assert np.median(shift_px[40:60], 0) == pytest.approx([6, -4], abs=0.4)
    assert np.median(shift_px[60:], 0) == pytest.approx([0, 0], abs=0.4)


def test_health_is_published_at_the_interval_of_the_settings(small_daemon):
    daemon, n_intervals = small_daemon, 12
    interval_s = daemon.settings.network.health_interval_s
    n_before = len(daemon.messages_of(messages.Health))
    daemon.wait_until(
        lambda: len(daemon.messages_of(messages.Health)) > n_before + n_intervals
    )
    sent_s = [health.t for health in daemon.messages_of(messages.Health)]
    median_s = np.median(np.diff(sent_s[-n_intervals - 1 :]))
    # Far from the default of a second, also on a busy computer.
    assert 0.9 * interval_s < median_s < 5 * interval_s < 1.0


def test_stop_ends_the_daemon_and_requests_then_fail(tmp_path, monkeypatch):
    with DaemonProcess(tmp_path, make_small_settings(tmp_path)) as daemon:
        with pytest.raises(RpcError, match="no session is running"):
            daemon.call("reference")
        assert daemon.call("stop") == {"ok": True, "sentence": "stopping"}
        assert daemon.process.wait(REPLY_TIMEOUT_S) == 0
        assert "the daemon stops" in daemon.output
        monkeypatch.setattr(rpc, "_REPLY_TIMEOUT_S", 0.5)
        with pytest.raises(
            RpcError, match=r"no daemon answers .*; start one with 'rtrecon"
        ):
            daemon.call("status")


def test_a_refused_request_raises_an_error(small_daemon):
    daemon = small_daemon
    with pytest.raises(RpcError, match="unknown op 'fly'"):
        call_daemon(daemon.settings.network.control, "fly")
