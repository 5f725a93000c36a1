"""What goes wrong at a rig, done to real processes: killed, fed rubbish, locked out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import psutil
import pytest
import zmq
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from rtrecon.config import EncoderSettings, RecordSettings
from rtrecon.protocol import messages
from rtrecon.simulate.session import start_fields
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    PROMPT_S,
    RATE_HZ,
    SHAPE,
    SLOW_S,
    Daemon,
    Program,
    Scope,
    settings_in,
    show,
    small_frames,
    small_settings,
)
from rtrecon.transport import sockets
from rtrecon.transport.sender import Sender
from tests.support.trained_encoder import new_session, world_of

FRAME = b'{"v": 1, "type": "frame", "session": "s", "seq": 0, "t": 0, "t_send": 0, '
# A frame that another sender never sent right: its parts.
RUBBISH = {
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


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon that only reads traces, for what must not disturb it."""
    folder = tmp_path_factory.mktemp("failures")
    with Daemon(folder, small_settings(folder)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def truth(small_checkpoint):
    return new_session(world_of(small_checkpoint), 40.0)


@pytest.fixture
def inverting(tmp_path, small_checkpoint, truth):
    """A daemon with an inverter, and a sender for it."""
    encoder = EncoderSettings(checkpoint=str(small_checkpoint))
    settings = settings_in(tmp_path, encoder=encoder)
    sender = Sender(settings.wire.frames, **start_fields(truth))
    with contextlib.ExitStack() as ending:
        ending.callback(sender.close)
        daemon = ending.enter_context(Daemon(tmp_path, settings))
        assert sender.wait_for_daemon()
        yield daemon, sender


def test_a_killed_inverter_is_replaced_and_no_frame_is_lost(inverting, truth):
    daemon, sender = inverting
    first_pid = daemon.ask("status")["inverter_pid"]
    before: list[int] = []  # index of the last movie that the first one made

    def kill_and_wait(_: int) -> bool:
        movies = [movie.index for movie in daemon.all(messages.Movie)]
        if not before and len(movies) >= 10:
            psutil.Process(first_pid).kill()
            before.append(movies[-1])
        return bool(before) and len([i for i in movies if i > before[0] + 30]) >= 5

    show(truth, sender, daemon, until=kill_and_wait)
    daemon.until(lambda: daemon.health().frames_processed == sender.sent)
    status, health = daemon.ask("status"), daemon.health()
    assert (sender.dropped, health.rejected, health.gaps) == (0, 0, messages.Gaps())
    assert status["inverter_restarts"] == 1
    assert status["inverter_pid"] != first_pid
    (event,) = daemon.events("inverter")
    assert "starting it again" in event.message
    # The record shows when there was no movie, and a movie on both sides.
    (record,) = daemon.records(sender.session)
    index = record.movie["index"]
    holes = np.flatnonzero(np.diff(index) > 2 * record.about.hop_frames)
    assert np.abs(index[holes] - before[0]).min() <= record.about.hop_frames
    assert "inverter" in [event.name for event in record.events]


def test_killing_the_front_costs_a_second_and_ends_its_child(inverting, truth):
    daemon, sender = inverting
    child = psutil.Process(daemon.ask("status")["inverter_pid"])
    show(truth, sender, daemon, until=lambda index: index >= 3.5 * RATE_HZ)
    daemon.listen(0.2)
    daemon.kill()
    seen = daemon.all(messages.Activity)[-1].frame
    child.wait(PROMPT_S)
    assert not child.is_running()
    (record,) = daemon.records(sender.session)
    frames = record.frames["frame"].tolist()
    assert frames == list(range(1, len(frames) + 1))
    assert len(frames) > seen - RATE_HZ
    assert np.isfinite(record.frames.values()).all()
    assert record.activity["index"][-1] > seen - 2 - RATE_HZ
    assert len(record.movie) > 0
    assert record.events[0].name == "session"


def test_an_inverter_that_cannot_start_is_given_up_on(tmp_path, small_checkpoint):
    broken = without_weights(small_checkpoint, tmp_path / "broken.safetensors")
    settings = settings_in(tmp_path, encoder=EncoderSettings(checkpoint=str(broken)))

    def given_up() -> bool:
        told = [event.message for event in daemon.events("inverter")]
        return any("no movie until the daemon is restarted" in word for word in told)

    with Daemon(tmp_path, settings, wait=False) as daemon, Scope(daemon) as scope:
        scope.scan_until(given_up, 3 * SLOW_S)  # it is tried three times
        health = scope.until_processed()
        assert daemon.ask("status")["inverter_pid"] is None
    assert health.frames_processed == scope.sent
    assert len(daemon.events("inverter")) == 3
    assert f"checkpoint {broken} does not hold a whole encoder" in daemon.said
    assert "Traceback" not in daemon.said


def without_weights(checkpoint: Path, path: Path) -> Path:
    with safe_open(checkpoint, framework="numpy") as whole:
        metadata = whole.metadata()
    tensors = load_file(checkpoint)
    kept = {key: tensors[key] for key in tensors if not key.startswith("model.")}
    save_file(kept, path, metadata)
    return path


def test_a_killed_display_is_noticed_by_nobody_and_another_attaches(tmp_path, daemon):
    def display(name: str) -> Program:
        return Program(
            tmp_path / "display.log",
            *("display", "--headless", "--snapshot", tmp_path / name),
            *("--publish", daemon.settings.wire.publish),
        )

    with Scope(daemon) as scope:
        with display("first.png") as first:
            scope.scan_until((tmp_path / "first.png").exists, SLOW_S)
            first.kill()
        told = len(daemon.all(messages.Event))
        with display("second.png") as second:
            scope.scan_until((tmp_path / "second.png").exists, SLOW_S)
            assert second.process.poll() is None
        health = scope.until_processed()
    assert len(daemon.all(messages.Event)) == told
    assert (health.frames_processed, health.gaps) == (scope.sent, messages.Gaps())
    assert not any(health.lost.values())


def test_rubbish_is_refused_counted_and_forgotten(daemon):
    with Scope(daemon) as scope, zmq.Context() as context:
        socket = sockets.connect(context, zmq.PUSH, daemon.settings.wire.frames)
        for parts in RUBBISH.values():
            scope.scan(3)
            socket.send_multipart(parts)
        daemon.until(lambda: daemon.health().rejected == len(RUBBISH))
        scope.scan(3)
        daemon.until(lambda: daemon.health().frames_processed == scope.sent)
        socket.close()
    health = daemon.health()
    assert health.gaps == messages.Gaps()
    told = refusals(daemon, scope)
    assert any("does not parse" in sentence for sentence in told)
    assert any("but shape [128, 128] of int16 needs 32768" in word for word in told)


def test_a_result_of_another_shape_is_refused(daemon):
    with Scope(daemon) as scope, zmq.Context() as context:
        scope.scan(20)
        scope.until_processed()
        socket = sockets.connect(context, zmq.PUSH, daemon.settings.wire.results)
        movie = np.zeros((8, 10, 10), np.uint8)
        fields = {"session": scope.session, "seq": 0, "t": 0.0, "index": 1, "lag": 1.0}
        header = messages.Movie(
            **fields, final=6, shape=movie.shape, steps=1, t_frame=0.0
        )
        socket.send_multipart(messages.encode_published(header, movie))
        daemon.until(lambda: refusals(daemon, scope))
        socket.close()
        scope.scan(20)
        scope.until_processed()
    (sentence,) = refusals(daemon, scope)
    assert "a result was refused: movie: one row's values have shape" in sentence
    assert not daemon.all(messages.Movie)


def test_a_session_begun_with_the_shutter_closed_waits_for_light(daemon):
    with Scope(daemon) as scope:
        scope.frames = np.zeros((1, *SHAPE), np.int16)
        scope.scan(2 * N_TEMPLATE)
        daemon.until(lambda: len(daemon.events("reference")) == 2)
        assert daemon.ask("status")["state"] == "calibrating"
        scope.frames = small_frames()
        scope.scan(30)
        daemon.until(lambda: daemon.health().frames_processed == 30)
        daemon.until(lambda: numbers(daemon, scope)[-1:] == [scope.sent])
    told = daemon.events("reference")[0].message
    assert "is the shutter open and the detector on?" in told
    assert daemon.health().lost["reference"] == 2 * N_TEMPLATE
    assert numbers(daemon, scope)[0] == 2 * N_TEMPLATE + 1


@pytest.mark.parametrize("rate_hz", [1e-3, 1e5])
def test_a_rate_that_no_microscope_has_is_borne(daemon, rate_hz):
    with Scope(daemon, rate_hz=rate_hz) as scope:
        scope.scan(30)
        scope.until_processed()


def test_frames_of_another_size_are_refused_and_the_stream_goes_on(daemon):
    others = np.zeros((64, 64), np.int16), np.zeros(SHAPE, np.uint16)
    with Scope(daemon) as scope:
        scope.scan(30)
        for other in others:
            scope.sent += 1
            scope.sender.frame(other, scope.sent, scope.sent / RATE_HZ)
        scope.scan(30)
        health = scope.until_processed()
        daemon.until(lambda: len(numbers(daemon, scope)) == 60)
    assert (health.frames_received, health.frames_processed) == (62, 60)
    assert (health.rejected, health.gaps) == (2, messages.Gaps())
    told = refusals(daemon, scope)
    assert "frame 31 is int16 64 x 64, the session was started as" in told[0]
    assert set(range(1, 63)) - set(numbers(daemon, scope)) == {31, 32}


def test_a_hole_keeps_its_place_in_the_record(daemon):
    with Scope(daemon) as scope:
        scope.scan(40)
        scope.sent += 10  # that the microscope made and nobody sent
        scope.scan(40)
        daemon.until(lambda: daemon.health().frames_processed == 80)
        health = daemon.health()
        daemon.until(lambda: len(numbers(daemon, scope)) == 80)
    assert health.gaps == messages.Gaps(source=10)
    assert "10 frames were lost before the sender" in daemon.events("gap")[-1].message
    assert numbers(daemon, scope) == [*range(1, 41), *range(51, 91)]
    (record,) = daemon.records(scope.session)
    index, lost = record.activity["index"], np.isnan(record.activity.values()).all(1)
    assert index.tolist() == list(range(88))
    assert index[lost].tolist() == list(range(40, 50))


def numbers(daemon: Daemon, scope: Scope) -> list[float]:
    (record,) = daemon.records(scope.session)
    return record.frames["frame"].tolist()


def refusals(daemon: Daemon, scope: Scope) -> list[str]:
    told = [e for e in daemon.events("refused") if e.session == scope.session]
    return [event.message for event in told]


def test_masks_of_another_field_are_refused_by_name(daemon):
    with Scope(daemon, shape=(64, 64)) as scope:
        daemon.until(lambda: refusals(daemon, scope))
        assert daemon.ask("status")["state"] == "refused"
    sentence = refusals(daemon, scope)[0]
    assert "session from scope, 64 x 64 at 30 Hz: " in sentence
    assert "reaches pixel" in sentence


def test_a_folder_that_cannot_be_written_stops_the_recording_only(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    record = RecordSettings(folder=str(tmp_path / "taken" / "recordings"))
    settings = small_settings(tmp_path, record=record)
    with Daemon(tmp_path, settings) as daemon, Scope(daemon) as scope:
        scope.scan(60)
        health = scope.until_processed()
        daemon.until(lambda: daemon.events("recording"))
        assert health.frames_processed == 60
        daemon.until(lambda: daemon.health().lost["record"] >= 60)
    (event,) = daemon.events("recording")
    assert f"recording in {record.folder} stopped: " in event.message
    assert "choose another folder" in event.message
