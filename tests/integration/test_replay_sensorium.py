"""A Sensorium folder replayed live: what is recorded is what lies in the folder."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rtrecon.config import EncoderSettings, InvertSettings
from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.trial import Trial
from rtrecon.datasets.sensorium.write import Neurons, write_folder
from rtrecon.encoder.checkpoint import save
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.replay.client import ReplayError
from rtrecon.replay.sensorium import (
    GAP_FRAMES,
    Choice,
    moments,
    replay_folder,
    start_fields,
)
from rtrecon.testing.daemon_process import SLOW_S, Daemon, Program, rtrecon, settings_in
from tests.support import trained_encoder

IDS, LONGEST = [1, 4, 90, 91, 8900], 40
# tier and frames of each trial
TRIALS = [
    ("oracle", 40),
    ("train", 30),
    ("oracle", 31),
    ("live_test_main", 25),
    ("live_test_main", 33),
]
WITHHELD, BLINK = 3, range(5, 9)  # a trial; frames of which the pupil is not known
USUAL = [0, 2, 4]  # trials that have responses, and were not trained on


def trial(number: int) -> Trial:
    rng = np.random.default_rng(number)
    n_frames = TRIALS[number][1]
    movie = rng.integers(0, 256, (n_frames, *layout.SHAPE)).astype(np.float32)
    behavior = rng.normal(50, 9, (n_frames, 4)).astype(np.float32)
    behavior[BLINK, 0] = behavior[BLINK, 2:] = np.nan
    responses = rng.gamma(0.1, 20, (n_frames, len(IDS))).astype(np.float32)
    return Trial(movie, behavior, None if number == WITHHELD else responses)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("sensorium") / "dynamic29515-10-12-Video-0123"
    neurons = Neurons(np.array(IDS), np.zeros((len(IDS), 3)))
    trials = ((tier, trial(number)) for number, (tier, _) in enumerate(TRIALS))
    write_folder(path, neurons, LONGEST, trials)
    return path


def sent(path, choice=None, loops=1):
    return list(moments(Folder(path), choice or Choice(), loops))


# -- which trials, and when ------------------------------------------------------------

# what is asked for -> trials that are sent
CHOSEN = {
    "nothing": (Choice(), USUAL),
    "a tier": (Choice(tier="train"), [1]),
    "a tier that is withheld in part": (Choice(tier="live_test_main"), [3, 4]),
    "by number": (Choice(trials=(3, 0)), [3, 0]),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_trials_are_chosen(path, case):
    choice, expected = CHOSEN[case]
    lengths = {f"trial {number}": TRIALS[number][1] for number in expected}
    found: dict[str, int] = {}
    for moment in sent(path, choice):
        found[moment.clip] = found.get(moment.clip, 0) + 1
    assert list(found.items()) == list(lengths.items())


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(trials=(5,)), "has trials 0 to 4, but no 5"),
        (Choice(tier="exam"), "no trial of tier 'exam'; it has .* live_test_main, ora"),
    ],
)
def test_trials_that_are_not_there_are_refused(path, choice, words):
    with pytest.raises(UserError, match=words):
        sent(path, choice)


def test_time_goes_on_between_trials_and_passes(path):
    """In frames: 40 of the first trial, then half a second, 31 of the next, ..."""
    lengths = [TRIALS[number][1] for number in USUAL * 2]
    expected, first = [], 0
    for n_frames in lengths:
        expected.append(first + np.arange(n_frames))
        first += n_frames + GAP_FRAMES
    found = [moment.t_s * layout.RATE_HZ for moment in sent(path, loops=2)]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-6)


def test_withheld_responses_are_not_known(path):
    assert all(np.isnan(m.rates).all() for m in sent(path, Choice(trials=(WITHHELD,))))


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"speed": 0.0}, "speed 0.0 is not positive"), ({"loops": 0}, "0 loops would")],
)
def test_a_replay_of_nothing_is_refused(path, asked, words):
    with pytest.raises(ReplayError, match=words):
        replay_folder(path, "tcp://127.0.0.1:9", **asked)


def test_a_folder_that_lacks_files_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "meta" / "trials").mkdir(parents=True)
    done = rtrecon("replay", tmp_path)
    assert (done.returncode, "lacks meta/trials/tiers.npy" in done.stderr) == (2, True)


def test_the_start_of_the_largest_mouse_fits_a_header(path):
    fields = start_fields(Folder(path))
    ids = list(range(1000, 9372))
    start = messages.Start(
        session="s", seq=0, **(fields | {"units": ids, "shape": (1, len(ids))})
    )
    assert messages.decode(messages.encode(start))[0].units == ids


# -- end to end ------------------------------------------------------------------------


def encoder_of(folder):
    """Of the mouse's neurons, and never trained: what counts is that it is taken."""
    made = trained_encoder.untrained(folder / "mouse.safetensors", IDS, (1, len(IDS)))
    made.card.meta["units"] = layout.UNITS
    save(made)
    return EncoderSettings(checkpoint=str(made.card.path))


@pytest.fixture(scope="module")
def session(tmp_path_factory, path):
    """The replay and the daemon, each a process of its own, and an encoder."""
    folder = tmp_path_factory.mktemp("replayed")
    settings = settings_in(
        folder, encoder=encoder_of(folder), invert=InvertSettings(max_steps=1)
    )
    arguments = "replay", path, "--to", settings.wire.frames, "--speed", 0
    with Daemon(folder, settings) as daemon:
        with Program(folder / "replay.log", *arguments) as replay:
            daemon.until(lambda: replay.process.poll() is not None, SLOW_S)
            assert replay.process.returncode == 0, replay.said
            assert f"{sum(TRIALS[n][1] for n in USUAL)} frames sent" in replay.said
        daemon.until(lambda: bool(daemon.all(messages.Movie)), SLOW_S)
        daemon.until(lambda: daemon.health().state == "idle")
        assert daemon.ask("stop")["ok"]
        daemon.process.wait()
    (name,) = {event.session for event in daemon.events("session")}
    (record,) = daemon.records(name)
    return daemon, record


@pytest.fixture
def record(session):
    return session[1]


def whole(kind):
    """What the folder has of the trials sent, by frame of the session."""
    parts = []
    for number in USUAL:
        told = getattr(trial(number), kind)
        parts += [told, np.full((GAP_FRAMES, *told.shape[1:]), np.nan, np.float32)]
    return np.concatenate(parts[:-1])


def test_activity_is_the_folders_responses(record):
    expected = whole("responses")
    assert record.activity["index"].tolist() == list(range(len(expected)))
    np.testing.assert_array_equal(record.activity.values(), expected)
    assert record.about.neuron_ids == IDS
    assert record.about.rates_in == layout.UNITS
    assert record.about.meta["sensorium"] == "dynamic29515-10-12-Video-0123"


def test_the_stimulus_is_at_its_frames(record):
    expected = whole("movie")
    shown = np.flatnonzero(np.isfinite(expected).all((1, 2)))
    assert record.stimulus["index"].tolist() == shown.tolist()
    np.testing.assert_array_equal(record.stimulus.values(), expected[shown])


def test_behaviour_is_at_its_frames(record):
    expected = whole("behavior")
    told = np.flatnonzero(np.isfinite(expected[:, 1]))
    samples = np.stack([record.behavior[name] for name in BEHAVIOR], 1)
    np.testing.assert_allclose(record.behavior["t"] * layout.RATE_HZ, told, atol=1e-6)
    np.testing.assert_allclose(samples, expected[told], rtol=1e-6)


def test_a_frame_s_activity_has_the_newest_that_was_measured(session):
    daemon, record = session
    measured = whole("behavior")
    told = np.flatnonzero(np.isfinite(measured[:, 1]))
    expected = held(measured)[told]
    np.testing.assert_allclose(record.behaved()[told], expected, rtol=1e-6)
    published = {message.index: message for message in daemon.all(messages.Activity)}
    found = [published[index].behavior for index in told.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def held(measured):
    """What is NaN as it was before."""
    newest = measured.copy()
    for before, now in pairwise(newest):
        blank = np.isnan(now)
        now[blank] = before[blank]
    return newest


def test_nothing_is_lost_and_a_gap_is_a_pause(session):
    daemon, record = session
    assert daemon.health().gaps == messages.Gaps()
    assert record.frames["frame"].tolist() == list(range(len(record.frames)))


def test_clips_are_trials(record):
    first = np.cumsum([0] + [TRIALS[n][1] + GAP_FRAMES for n in USUAL])[:-1]
    found = [(clip.index, clip.name) for clip in record.clips]
    expected = [f"trial {number}" for number in USUAL]
    assert found == list(zip(first.tolist(), expected, strict=True))
