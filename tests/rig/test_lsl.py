"""Lab Streaming Layer, in and out, through real streams on this computer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtrecon import config
from rtrecon.config import LabStreamSettings, SettingsError
from rtrecon.core.errors import UserError
from rtrecon.interfaces.lsl import library
from rtrecon.interfaces.lsl.inlets import Clips
from rtrecon.interfaces.lsl.outlets import QUALITY
from rtrecon.protocol import messages
from rtrecon.sources.video import write_movie
from rtrecon.testing.daemon_process import (
    SLOW_S,
    Daemon,
    Program,
    Scope,
    small_settings,
)

SETTINGS = LabStreamSettings(
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
# name -> channels and whether they are words
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
        yield library()
    except UserError as error:
        pytest.skip(str(error))
    finally:
        del os.environ["LSLAPICFG"]


@pytest.fixture(scope="module")
def streams(lsl):
    """What a lab has running: a pupil camera, a wheel, programs that set markers."""
    made = {}
    for name, (channels, words) in STREAMS.items():
        kind = lsl.cf_string if words else lsl.cf_float32
        info = lsl.StreamInfo(name, "Test", channels, 0, kind, f"test {name}")
        made[name] = lsl.StreamOutlet(info)
    return made


class Clocked(Scope):
    """A microscope whose clock runs on whatever happens, as a real one's does."""

    SHOWS_0_AT_S = time.time() - 500.0

    def _next(self) -> None:
        self.sent += 1
        pixels = self.frames[self.sent % len(self.frames)]
        self.sender.frame(pixels, self.sent, time.time() - self.SHOWS_0_AT_S)


class Heard:
    """Everything that one stream of the bridge gives out."""

    def __init__(self, lsl, name: str) -> None:
        (info,) = lsl.resolve_byprop("name", name, timeout=SLOW_S)
        self._inlet = lsl.StreamInlet(info)
        self.info = self._inlet.info(SLOW_S)
        self._inlet.open_stream(SLOW_S)
        self.samples: list[list] = []

    def listen(self) -> None:
        self.samples += self._inlet.pull_chunk(timeout=0.0)[0]


def pushed(streams, scope: Scope) -> tuple[float, float]:
    """Push samples while the microscope scans; returns when the pupil's were."""
    streams["Wheel"].push_sample([4.5])
    first_s = time.time()
    streams["Pupil"].push_sample([9.0, 1.5, float("nan")])
    until(scope, lambda: time.time() > first_s + 0.3)
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
    given = SETTINGS.model_copy(update={"clips": str(folder / "clips")})
    settings = small_settings(folder, lsl=given)
    with (
        Daemon(folder, settings) as daemon,
        Program(folder / "lsl.log", "lsl", folder / "settings.json") as bridge,
        Clocked(daemon) as scope,
    ):
        out = {what: Heard(lsl, f"tested {what}") for what in ("quality", "events")}
        for outlet in streams.values():
            assert outlet.wait_for_consumers(SLOW_S), bridge.said
        until(scope, lambda: daemon.all(messages.Activity))
        out["activity"] = Heard(lsl, "tested activity")
        wall_s = pushed(streams, scope)
        until(scope, lambda: daemon.events("mark"))
        until(scope, lambda: daemon.all(messages.Seen))
        until(scope, lambda: heard(out["activity"]) and heard(out["events"]))
        until(scope, lambda: len(daemon.records(scope.session)[0].behavior) == 3)
        scope.until_processed()
        assert daemon.ask("stop")["ok"]
        daemon.process.wait()
        (record,) = daemon.records(scope.session)
        yield record, out, wall_s, daemon


def heard(stream: Heard) -> bool:
    stream.listen()
    return len(stream.samples) > 0


def until(scope: Scope, condition: Callable[[], object]) -> None:
    """Scan in real time until it is so."""
    scope.scan_until(lambda: bool(condition()), SLOW_S)


def test_behaviour_lies_at_its_time_on_the_microscopes_clock(session):
    record, _, wall_s, _ = session
    behavior = record.behavior
    running = behavior["running_speed"]
    assert running[np.isfinite(running)].tolist() == [4.5]
    pupil = np.isfinite(behavior["pupil_dilation"])
    assert behavior["pupil_dilation"][pupil].tolist() == [1.5, 2.5]
    assert behavior["pupil_x"][pupil][1] == -0.5
    assert np.isnan(behavior["pupil_x"][pupil][0])
    expected = np.array(wall_s) - Clocked.SHOWS_0_AT_S
    assert behavior["t"][pupil] == pytest.approx(expected, abs=CLOCK_TOLERANCE_S)


def test_the_error_of_the_alignment_is_told(session):
    *_, daemon = session
    told = [h.latency_ms.get("align_error") for h in daemon.all(messages.Health)]
    assert [error for error in told if error is not None]


def test_markers_are_edges_notes_and_images(session):
    record, _, _, daemon = session
    assert record.sync["value"].tolist() == [1, 0]
    assert set(record.sync["line"]) == {3}
    assert np.isnan(record.sync["t"]).all()  # nobody else saw them
    (note,) = daemon.events("mark")
    assert note.message == "Words: the door was opened"
    (image,) = record.stimulus.values()
    error = image.astype(float) - clip()[3]
    assert np.abs(error).mean() < 10  # a video is compressed


def test_activity_is_given_out_as_it_is_published(session):
    record, out, *_ = session
    stream = out["activity"]
    assert stream.info.channel_count() == len(record.about.neuron_ids)
    assert stream.info.nominal_srate() == record.about.encoder_rate_hz
    published = {row.tobytes() for row in np.nan_to_num(record.activity.values())}
    given = np.nan_to_num(np.array(stream.samples, np.float32))
    assert all(row.tobytes() in published for row in given)


def test_events_and_quality_have_streams_of_their_own(session):
    _, out, *_ = session
    names = {json.loads(sample[0])["name"] for sample in out["events"].samples}
    assert "mark" in names
    assert tuple(out["quality"].info.get_channel_labels()) == QUALITY


def test_a_clip_is_found_by_name_and_nothing_else_is_opened(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    write_movie(tmp_path / "secret.mp4", clip())
    write_movie(tmp_path / "inside" / "clouds.mp4", clip())
    clips = Clips(str(tmp_path / "inside"))
    assert clips.image("clouds", "4").shape == (36, 64)
    for name, number in (
        ("clouds", "5"),
        ("clouds", "-1"),
        ("../secret", "0"),
        ("", "0"),
    ):
        assert clips.image(name, number) is None
    with pytest.raises(UserError, match="no folder of video files"):
        Clips(str(tmp_path / "none"))


def test_what_cannot_be_measured_is_refused_in_the_settings(tmp_path: Path):
    file = tmp_path / "rig.toml"
    file.write_text("[lsl.behavior.Pupil]\nblinks = 0\n")
    with pytest.raises(SettingsError, match=r"lsl\.behavior"):
        config.load(file)
