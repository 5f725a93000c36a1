"""A replayed Sensorium folder: the recorded session equals the folder's data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rtrecon.config import EncoderSettings, InversionSettings
from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.trial import SensoriumTrial
from rtrecon.datasets.sensorium.write import NeuronTable, write_folder
from rtrecon.encoder.checkpoint import save_checkpoint
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.replay.client import ReplayError
from rtrecon.replay.sensorium import (
    GAP_FRAMES,
    TrialSelection,
    iterate_trial_frames,
    replay_sensorium,
)
from rtrecon.testing.daemon_process import (
    START_TIMEOUT_S,
    BackgroundProcess,
    DaemonProcess,
    make_settings,
)
from tests.support import trained_encoder
from tests.support.command_line import run_here

IDS, LONGEST = [1, 4, 90, 91, 8900], 40
# tier and frames of each trial
TRIALS = [
    ("oracle", 40),
    ("train", 30),
    ("oracle", 31),
    ("live_test_main", 25),
    ("live_test_main", 33),
]
WITHHELD, BLINK = 3, range(5, 9)  # a trial; frames without a pupil
DEFAULT = [0, 2, 4]  # trials with responses, except those of tier train


def make_trial(number: int) -> SensoriumTrial:
    rng = np.random.default_rng(number)
    n_frames = TRIALS[number][1]
    movie = rng.integers(0, 256, (n_frames, *layout.MOVIE_SHAPE)).astype(np.float32)
    behavior = rng.normal(50, 9, (n_frames, 4)).astype(np.float32)
    behavior[BLINK, 0] = behavior[BLINK, 2:] = np.nan
    responses = rng.gamma(0.1, 20, (n_frames, len(IDS))).astype(np.float32)
    return SensoriumTrial(movie, behavior, None if number == WITHHELD else responses)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("sensorium") / "dynamic29515-10-12-Video-0123"
    neurons = NeuronTable(np.array(IDS), np.zeros((len(IDS), 3)))
    trials = ((tier, make_trial(number)) for number, (tier, _) in enumerate(TRIALS))
    write_folder(path, neurons, LONGEST, trials)
    return path


def list_trial_frames(path, selection=None, loops=1):
    return list(
        iterate_trial_frames(
            SensoriumFolder(path), selection or TrialSelection(), loops
        )
    )


# -- which trials, and when ------------------------------------------------------------

# what is asked for -> trials that are sent
CHOSEN = {
    "nothing": (TrialSelection(), DEFAULT),
    "a tier": (TrialSelection(tier="train"), [1]),
    "a tier that is withheld in part": (TrialSelection(tier="live_test_main"), [3, 4]),
    "by number": (TrialSelection(trials=(3, 0)), [3, 0]),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_trials_are_selected_by_tier_and_number(path, case):
    selection, expected = CHOSEN[case]
    lengths = {f"trial {number}": TRIALS[number][1] for number in expected}
    found: dict[str, int] = {}
    for frame in list_trial_frames(path, selection):
        found[frame.clip] = found.get(frame.clip, 0) + 1
    assert list(found.items()) == list(lengths.items())


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (TrialSelection(trials=(5,)), "has trials 0 to 4, but no 5"),
        (
            TrialSelection(tier="exam"),
            "no trial of tier 'exam'; it has .* live_test_main, ora",
        ),
    ],
)
def test_missing_trials_are_refused(path, selection, words):
    with pytest.raises(UserError, match=words):
        list_trial_frames(path, selection)


def test_times_continue_between_trials_and_loops(path):
    """In frames: 40 of the first trial, then half a second, 31 of the next, ..."""
    lengths = [TRIALS[number][1] for number in DEFAULT * 2]
    expected, first = [], 0
    for n_frames in lengths:
        expected.append(first + np.arange(n_frames))
        first += n_frames + GAP_FRAMES
    found = [frame.t_s * layout.RATE_HZ for frame in list_trial_frames(path, loops=2)]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-6)


def test_withheld_responses_are_nan(path):
    frames = list_trial_frames(path, TrialSelection(trials=(WITHHELD,)))
    assert all(np.isnan(frame.rates).all() for frame in frames)


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"speed": 0.0}, "speed 0.0 is not positive"), ({"loops": 0}, "0 loops would")],
)
def test_invalid_speed_and_loops_are_refused(path, asked, words):
    with pytest.raises(ReplayError, match=words):
        replay_sensorium(path, "tcp://127.0.0.1:9", **asked)


def test_a_folder_that_lacks_files_is_an_error_sentence(tmp_path):
    (tmp_path / "meta" / "trials").mkdir(parents=True)
    done = run_here("replay", tmp_path)
    assert (done.returncode, "lacks meta/trials/tiers.npy" in done.stderr) == (2, True)


# -- end to end ------------------------------------------------------------------------


def make_encoder(folder):
    """An untrained encoder of the mouse's neurons; its predictions do not matter."""
    made = trained_encoder.make_untrained_checkpoint(
        folder / "mouse.safetensors", IDS, (1, len(IDS))
    )
    made.card.metadata["units"] = layout.RESPONSE_UNITS
    save_checkpoint(made)
    return EncoderSettings(checkpoint=str(made.card.path))


@pytest.fixture(scope="module")
def session(tmp_path_factory, path):
    """The daemon with an encoder, and the replay, each a process of its own."""
    folder = tmp_path_factory.mktemp("replayed")
    settings = make_settings(
        folder, encoder=make_encoder(folder), inversion=InversionSettings(max_steps=1)
    )
    arguments = "replay", path, "--to", settings.network.frames, "--speed", 0
    with DaemonProcess(folder, settings) as daemon:
        with BackgroundProcess(folder / "replay.log", *arguments) as replay:
            daemon.wait_until(
                lambda: replay.process.poll() is not None, START_TIMEOUT_S
            )
            assert replay.process.returncode == 0, replay.output
            assert f"{sum(TRIALS[n][1] for n in DEFAULT)} frames sent" in replay.output
        daemon.wait_until(
            lambda: bool(daemon.messages_of(messages.Movie)), START_TIMEOUT_S
        )
        daemon.wait_until(lambda: daemon.newest_health().state == "idle")
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
    (name,) = {event.session for event in daemon.events_named("session")}
    (record,) = daemon.recordings(name)
    return daemon, record


@pytest.fixture
def record(session):
    return session[1]


def concatenate_trials(kind):
    """The folder's data of the trials sent, by frame of the session."""
    parts = []
    for number in DEFAULT:
        values = getattr(make_trial(number), kind)
        parts += [
            values,
            np.full((GAP_FRAMES, *values.shape[1:]), np.nan, np.float32),
        ]
    return np.concatenate(parts[:-1])


def test_activity_equals_the_responses_of_the_folder(record):
    expected = concatenate_trials("responses")
    assert record.activity["encoder_frame"].tolist() == list(range(len(expected)))
    np.testing.assert_array_equal(record.activity.read_values(), expected)
    assert record.about.neuron_ids == IDS
    assert record.about.rate_unit == layout.RESPONSE_UNITS
    assert record.about.meta["sensorium"] == "dynamic29515-10-12-Video-0123"


def test_the_stimulus_is_recorded_at_its_frames(record):
    expected = concatenate_trials("movie")
    shown = np.flatnonzero(np.isfinite(expected).all((1, 2)))
    assert record.stimulus["encoder_frame"].tolist() == shown.tolist()
    np.testing.assert_array_equal(record.stimulus.read_values(), expected[shown])


def test_behavior_is_recorded_at_its_frames(record):
    expected = concatenate_trials("behavior")
    measured_frames = np.flatnonzero(np.isfinite(expected[:, 1]))
    samples = np.stack([record.behavior[name] for name in BEHAVIOR], 1)
    np.testing.assert_allclose(
        record.behavior["t_microscope_s"] * layout.RATE_HZ, measured_frames, atol=1e-6
    )
    np.testing.assert_allclose(samples, expected[measured_frames], rtol=1e-6)


def test_activity_carries_the_newest_measured_behavior(session):
    daemon, record = session
    measured = concatenate_trials("behavior")
    measured_frames = np.flatnonzero(np.isfinite(measured[:, 1]))
    expected = hold_last(measured)[measured_frames]
    np.testing.assert_allclose(
        record.read_encoder_behavior()[measured_frames], expected, rtol=1e-6
    )
    published = {
        message.encoder_frame: message
        for message in daemon.messages_of(messages.Activity)
    }
    found = [published[index].behavior for index in measured_frames.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def hold_last(measured):
    """Replace NaN by the value before it."""
    newest = measured.copy()
    for before, now in pairwise(newest):
        blank = np.isnan(now)
        now[blank] = before[blank]
    return newest


def test_nothing_is_lost_and_gaps_have_no_frames(session):
    daemon, record = session
    assert daemon.newest_health().gaps == messages.GapCounts()
    assert record.frames["frame"].tolist() == list(range(len(record.frames)))


def test_each_trial_is_a_clip(record):
    first = np.cumsum([0] + [TRIALS[n][1] + GAP_FRAMES for n in DEFAULT])[:-1]
    found = [(clip.encoder_frame, clip.name) for clip in record.clips]
    expected = [f"trial {number}" for number in DEFAULT]
    assert found == list(zip(first.tolist(), expected, strict=True))
