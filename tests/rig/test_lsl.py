"""Lab Streaming Layer: real streams on this computer, in and out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtrecon import config
from rtrecon.config import LslSettings, SettingsError
from rtrecon.core.errors import UserError
from rtrecon.interfaces.lsl import import_pylsl
from rtrecon.interfaces.lsl.inlets import VideoClips
from rtrecon.interfaces.lsl.outlets import QUALITY_CHANNELS
from rtrecon.protocol import messages
from rtrecon.sources.video import write_movie
from rtrecon.testing.daemon_process import (
    START_TIMEOUT_S,
    BackgroundProcess,
    DaemonProcess,
)
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_settings,
)

SETTINGS = LslSettings(
    name="tested",
    behavior={
        "Pupil": {"pupil_dilation": 1, "pupil_x": 2},
        "Wheel": {"running_speed": 0},
    },
    edges={"Lines": 3},
    notes=["Words"],
    stimulus=["Shown"],
    clips="clips",
)
# name -> number of channels, and whether they are text
STREAMS = {
    "Pupil": (3, False),
    "Wheel": (1, False),
    "Lines": (1, True),
    "Words": (1, True),
    "Shown": (1, True),
}
CLOCK_TOLERANCE_S = 0.1  # frames leave a loaded computer late; LSL is far better


def clip() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(60, 200, (5, 36, 64), dtype=np.uint8)


@pytest.fixture(scope="module")
def lsl(tmp_path_factory):
    """pylsl, looking for streams on this computer only: no multicast is needed."""
    folder = tmp_path_factory.mktemp("lsl")
    file = folder / "lsl_api.cfg"
    file.write_text(
        "[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n"
        "[log]\nlevel = -3\n"
    )
    os.environ["LSLAPICFG"] = str(file)
    try:
        yield import_pylsl()
    except UserError as error:
        pytest.skip(str(error))
    finally:
        del os.environ["LSLAPICFG"]


@pytest.fixture(scope="module")
def streams(lsl):
    """The LSL streams of a lab: a pupil camera, a wheel, marker programs."""
    outlets = {}
    for name, (channels, is_text) in STREAMS.items():
        kind = lsl.cf_string if is_text else lsl.cf_float32
        info = lsl.StreamInfo(name, "Test", channels, 0, kind, f"test {name}")
        outlets[name] = lsl.StreamOutlet(info)
    return outlets


class MicroscopeWithClock(SimulatedMicroscope):
    """A microscope whose clock runs in real time."""

    ZERO_AT_S = time.time() - 500.0

    def send_next_frame(self) -> None:
        self.n_sent += 1
        pixels = self.frames[self.n_sent % len(self.frames)]
        self.sender.send_frame(pixels, self.n_sent, time.time() - self.ZERO_AT_S)


class LslRecording:
    """All samples of one LSL stream that the bridge writes."""

    def __init__(self, lsl, name: str) -> None:
        (info,) = lsl.resolve_byprop("name", name, timeout=START_TIMEOUT_S)
        self._inlet = lsl.StreamInlet(info)
        self.info = self._inlet.info(START_TIMEOUT_S)
        self._inlet.open_stream(START_TIMEOUT_S)
        self.samples: list[list] = []

    def pull(self) -> None:
        self.samples += self._inlet.pull_chunk(timeout=0.0)[0]


def push_samples(streams, scope: SimulatedMicroscope) -> tuple[float, float]:
    """Push samples during the scan; return the times of the pupil samples."""
    streams["Wheel"].push_sample([4.5])
    first_s = time.time()
    streams["Pupil"].push_sample([9.0, 1.5, float("nan")])
    scan_until(scope, lambda: time.time() > first_s + 0.3)
    streams["Pupil"].push_sample([9.0, 2.5, -0.5])
    second_s = time.time()
    for words in ("1", "x", "0"):
        streams["Lines"].push_sample([words])
    streams["Words"].push_sample(["the door was opened"])
    streams["Shown"].push_sample(["clouds 3"])
    streams["Shown"].push_sample(["../clouds 3"])
    return first_s, second_s


@pytest.fixture(scope="module")
def session(tmp_path_factory, lsl, streams):
    folder = tmp_path_factory.mktemp("session")
    (folder / "clips").mkdir()
    write_movie(folder / "clips" / "clouds.mp4", clip(), scale=4)
    lsl_settings = SETTINGS.model_copy(update={"clips": folder / "clips"})
    settings = make_small_settings(folder, lsl=lsl_settings)
    with (
        DaemonProcess(folder, settings) as daemon,
        BackgroundProcess(
            folder / "lsl.log", "lsl", folder / "settings.json"
        ) as bridge,
        MicroscopeWithClock(daemon) as scope,
    ):
        out = {
            name: LslRecording(lsl, f"tested {name}") for name in ("quality", "events")
        }
        for outlet in streams.values():
            assert outlet.wait_for_consumers(START_TIMEOUT_S), bridge.output
        scan_until(scope, lambda: daemon.messages_of(messages.Activity))
        out["activity"] = LslRecording(lsl, "tested activity")
        wall_s = push_samples(streams, scope)
        scan_until(scope, lambda: daemon.events_named("mark"))
        scan_until(scope, lambda: daemon.messages_of(messages.AlignedStimulus))
        scan_until(
            scope, lambda: has_samples(out["activity"]) and has_samples(out["events"])
        )
        scan_until(
            scope, lambda: len(daemon.recordings(scope.session)[0].behavior) == 3
        )
        scope.wait_until_processed()
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
        (record,) = daemon.recordings(scope.session)
        yield record, out, wall_s, daemon


def has_samples(stream: LslRecording) -> bool:
    stream.pull()
    return len(stream.samples) > 0


def scan_until(scope: SimulatedMicroscope, condition: Callable[[], object]) -> None:
    """Send frames in real time until the condition holds."""
    scope.send_frames_until(lambda: bool(condition()), START_TIMEOUT_S)


def test_behaviour_is_recorded_at_its_time_on_the_microscopes_clock(session):
    record, _, wall_s, _ = session
    behavior = record.behavior
    running = behavior["running_speed"]
    assert running[np.isfinite(running)].tolist() == [4.5]
    pupil = np.isfinite(behavior["pupil_dilation"])
    assert behavior["pupil_dilation"][pupil].tolist() == [1.5, 2.5]
    assert behavior["pupil_x"][pupil][1] == -0.5
    assert np.isnan(behavior["pupil_x"][pupil][0])
    expected = np.array(wall_s) - MicroscopeWithClock.ZERO_AT_S
    assert behavior["t_microscope_s"][pupil] == pytest.approx(
        expected, abs=CLOCK_TOLERANCE_S
    )


def test_the_error_of_the_clock_fit_is_reported(session):
    *_, daemon = session
    errors = [
        h.latency_ms.get("clock_error") for h in daemon.messages_of(messages.Health)
    ]
    assert [error for error in errors if error is not None]


def test_markers_become_edges_notes_and_images(session):
    record, _, _, daemon = session
    assert record.sync["value"].tolist() == [1, 0]
    assert set(record.sync["line"]) == {3}
    assert np.isnan(
        record.sync["t_microscope_s"]
    ).all()  # no other program reported them
    (note,) = daemon.events_named("mark")
    assert note.message == "Words: the door was opened"
    (image,) = record.stimulus.read_values()
    error = image.astype(float) - clip()[3]
    assert np.abs(error).mean() < 10  # a video is compressed


def test_published_activity_is_written_to_lsl(session):
    record, out, *_ = session
    stream = out["activity"]
    assert stream.info.channel_count() == len(record.about.neuron_ids)
    assert stream.info.nominal_srate() == record.about.encoder_rate_hz
    published = {row.tobytes() for row in np.nan_to_num(record.activity.read_values())}
    streamed = np.nan_to_num(np.array(stream.samples, np.float32))
    assert all(row.tobytes() in published for row in streamed)


def test_events_and_quality_have_separate_lsl_streams(session):
    _, out, *_ = session
    names = {json.loads(sample[0])["name"] for sample in out["events"].samples}
    assert "mark" in names
    assert tuple(out["quality"].info.get_channel_labels()) == QUALITY_CHANNELS


def test_a_clip_is_found_by_name_and_no_other_file_is_opened(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    write_movie(tmp_path / "secret.mp4", clip())
    write_movie(tmp_path / "inside" / "clouds.mp4", clip())
    clips = VideoClips(tmp_path / "inside")
    assert clips.read_image("clouds", "4").shape == (36, 64)
    for name, number in (
        ("clouds", "5"),
        ("clouds", "-1"),
        ("../secret", "0"),
        ("", "0"),
    ):
        assert clips.read_image(name, number) is None
    with pytest.raises(UserError, match="no folder of video files"):
        VideoClips(tmp_path / "none")


def test_unknown_behaviour_names_are_refused_in_the_settings(tmp_path: Path):
    file = tmp_path / "rig.toml"
    file.write_text("[lsl.behavior.Pupil]\nblinks = 0\n")
    with pytest.raises(SettingsError, match=r"lsl\.behavior"):
        config.load(file)
