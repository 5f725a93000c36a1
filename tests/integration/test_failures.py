"""A daemon with invalid messages, closed shutters, killed displays and full disks."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import zmq

from rtrecon.config import RecordingSettings
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    START_TIMEOUT_S,
    DaemonProcess,
)
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SHAPE,
    SimulatedMicroscope,
    make_small_frames,
    make_small_settings,
)
from rtrecon.transport import sockets
from tests.support.changed_constants import ChangedProcess
from tests.support.daemon_checks import (
    list_events,
    list_recorded_frames,
    list_refusals,
)

OFTEN = {"rtrecon.display.window.SNAPSHOT_INTERVAL_MS": 200}
FRAME = b'{"v": 1, "type": "frame", "session": "s", "seq": 0, "t": 0, "t_send": 0, '
# Parts of an invalid message.
INVALID_MESSAGES = {
    "no JSON": [bytes(range(256)), b""],
    "no object": [b"[1, 2]", b""],
    "unknown type": [b'{"v": 1, "type": "sausage", "session": "s", "seq": 0}', b""],
    "another version": [b'{"v": 2, "type": "end", "session": "s", "seq": 0}', b""],
    "a field missing": [FRAME[:-2] + b"}", b""],
    "too few bytes": [FRAME + b'"frame": 1, "shape": [128, 128]}', b"\0" * 999],
    "no such type": [
        FRAME + b'"frame": 1, "shape": [1, 1], "dtype": ">f8"}',
        b"\0" * 8,
    ],
    "a negative side": [FRAME + b'"frame": 1, "shape": [-1, -2]}', b"\0" * 4],
    "more than memory": [FRAME + b'"frame": 1, "shape": [99999, 99999]}', b""],
    "a header without end": [b"[" * 70_000, b""],
    "one part": [b"{}"],
    "three parts": [b"{}", b"", b""],
}


def test_a_killed_display_disturbs_neither_the_daemon_nor_another_display(
    tmp_path, small_daemon
):
    daemon, pictures = small_daemon, [tmp_path / "first.png", tmp_path / "second.png"]
    with SimulatedMicroscope(daemon) as micromicroscope, ExitStack() as stack:
        first, second = [
            stack.enter_context(
                ChangedProcess(
                    tmp_path / "display.log",
                    OFTEN,
                    *("display", "--headless", "--snapshot", picture),
                    *("--publish", daemon.settings.network.publish),
                )
            )
            for picture in pictures
        ]
        for picture in pictures:
            micromicroscope.send_frames_until(picture.exists, START_TIMEOUT_S)
        n_events = len(daemon.messages_of(messages.Event))
        first.kill()
        pictures[1].unlink()
        micromicroscope.send_frames_until(pictures[1].exists, START_TIMEOUT_S)
        assert second.process.poll() is None
        health = micromicroscope.wait_until_processed()
    assert len(daemon.messages_of(messages.Event)) == n_events
    assert health.frames_processed == micromicroscope.n_sent
    assert health.gaps == messages.GapCounts()
    assert not any(health.lost.values())


def test_invalid_messages_are_refused_counted_and_disturb_nothing(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope, zmq.Context() as context:
        socket = sockets.connect_socket(
            context, zmq.PUSH, daemon.settings.network.frames
        )
        for parts in INVALID_MESSAGES.values():
            microscope.send_frames(3)
            socket.send_multipart(parts)
        daemon.wait_until(
            lambda: daemon.newest_health().rejected_messages == len(INVALID_MESSAGES)
        )
        microscope.send_frames(3)
        daemon.wait_until(
            lambda: daemon.newest_health().frames_processed == microscope.n_sent
        )
        socket.close()
    health = daemon.newest_health()
    assert health.gaps == messages.GapCounts()
    sentences = list_refusals(daemon, microscope.session)
    assert any("does not parse" in sentence for sentence in sentences)
    assert any(
        "but shape [128, 128] of int16 needs 32768" in word for word in sentences
    )


def test_a_movie_of_another_shape_is_refused(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope, zmq.Context() as context:
        microscope.send_frames(20)
        microscope.wait_until_processed()
        socket = sockets.connect_socket(
            context, zmq.PUSH, daemon.settings.network.results
        )
        movie = np.zeros((8, 10, 10), np.uint8)
        fields = {
            "session": microscope.session,
            "seq": 0,
            "t": 0.0,
            "encoder_frame": 1,
            "lag_s": 1.0,
        }
        header = messages.Movie(
            **fields, n_final=6, shape=movie.shape, n_steps=1, t_frame=0.0
        )
        socket.send_multipart(messages.encode_published(header, movie))
        daemon.wait_until(lambda: list_refusals(daemon, microscope.session))
        socket.close()
        microscope.send_frames(20)
        microscope.wait_until_processed()
    (sentence,) = list_refusals(daemon, microscope.session)
    assert "a result was refused: movie: one row's values have shape" in sentence
    assert not daemon.messages_of(messages.Movie)


def test_a_session_that_begins_with_a_closed_shutter_waits_for_light(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope:
        microscope.frames = np.zeros((1, *SHAPE), np.int16)
        microscope.send_frames(2 * N_TEMPLATE)
        daemon.wait_until(
            lambda: daemon.newest_health().lost["reference"] == 2 * N_TEMPLATE
        )
        # The same reason is not reported again and again.
        assert len(list_events(daemon, "reference", microscope.session)) == 1
        microscope.frames = make_small_frames()
        microscope.send_frames(30)
        daemon.wait_until(lambda: daemon.newest_health().frames_processed == 30)
        daemon.wait_until(
            lambda: (
                list_recorded_frames(daemon, microscope.session)[-1:]
                == [microscope.n_sent]
            )
        )
    sentence = list_events(daemon, "reference", microscope.session)[0].message
    assert "is the shutter open and the detector on?" in sentence
    assert daemon.newest_health().lost["reference"] == 2 * N_TEMPLATE
    assert list_recorded_frames(daemon, microscope.session)[0] == 2 * N_TEMPLATE + 1


@pytest.mark.parametrize("rate_hz", [1e-3, 1e5])
def test_an_absurd_frame_rate_does_no_harm(small_daemon, rate_hz):
    daemon = small_daemon
    with SimulatedMicroscope(daemon, rate_hz=rate_hz) as microscope:
        microscope.send_frames(30)
        microscope.wait_until_processed()


def test_frames_of_another_size_are_refused_and_later_frames_accepted(small_daemon):
    daemon = small_daemon
    others = np.zeros((64, 64), np.int16), np.zeros(SHAPE, np.uint16)
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(30)
        for other in others:
            microscope.n_sent += 1
            microscope.sender.send_frame(
                other, microscope.n_sent, microscope.n_sent / RATE_HZ
            )
        microscope.send_frames(30)
        health = microscope.wait_until_processed(n_refused=2)
        daemon.wait_until(
            lambda: len(list_recorded_frames(daemon, microscope.session)) == 60
        )
    assert (health.frames_received, health.frames_processed) == (62, 60)
    assert (health.rejected_messages, health.gaps) == (2, messages.GapCounts())
    sentences = list_refusals(daemon, microscope.session)
    assert "frame 31 is int16 64 x 64, the session was started as" in sentences[0]
    assert set(range(1, 63)) - set(
        list_recorded_frames(daemon, microscope.session)
    ) == {31, 32}


def test_missing_frames_leave_a_gap_at_their_place_in_the_recording(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(40)
        microscope.n_sent += 10  # frames that the micromicroscope made but nobody sent
        microscope.send_frames(40)
        daemon.wait_until(lambda: daemon.newest_health().frames_processed == 80)
        health = daemon.newest_health()
        daemon.wait_until(
            lambda: len(list_recorded_frames(daemon, microscope.session)) == 80
        )
        # Each table is written by itself.
        daemon.wait_until(
            lambda: len(daemon.recordings(microscope.session)[0].activity) == 88
        )
    assert health.gaps == messages.GapCounts(source=10)
    assert (
        "10 frames were lost before the sender"
        in daemon.events_named("gap")[-1].message
    )
    assert list_recorded_frames(daemon, microscope.session) == [
        *range(1, 41),
        *range(51, 91),
    ]
    (recording,) = daemon.recordings(microscope.session)
    index, lost = (
        recording.activity["encoder_frame"],
        np.isnan(recording.activity.read_values()).all(1),
    )
    assert index.tolist() == list(range(88))
    assert index[lost].tolist() == list(range(40, 50))


def test_masks_outside_the_images_are_refused_with_a_reason(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon, shape=(64, 64)) as microscope:
        daemon.wait_until(lambda: list_refusals(daemon, microscope.session))
        assert daemon.call("status")["state"] == "refused"
    sentence = list_refusals(daemon, microscope.session)[0]
    assert "session from scope, 64 x 64 at 30 Hz: " in sentence
    assert "reaches pixel" in sentence


def test_an_unwritable_folder_stops_the_recording_but_not_the_daemon(tmp_path):
    (tmp_path / "taken").write_text("a file instead of a folder")
    recording_settings = RecordingSettings(
        folder=str(tmp_path / "taken" / "recordings")
    )
    settings = make_small_settings(tmp_path, recording=recording_settings)
    with (
        DaemonProcess(tmp_path, settings) as daemon,
        SimulatedMicroscope(daemon) as microscope,
    ):
        microscope.send_frames(60)
        health = microscope.wait_until_processed()
        daemon.wait_until(lambda: daemon.events_named("recording"))
        assert health.frames_processed == 60
        daemon.wait_until(lambda: daemon.newest_health().lost["record"] >= 60)
    (event,) = daemon.events_named("recording")
    assert f"recording in {recording_settings.folder} stopped: " in event.message
    assert "choose another folder" in event.message
