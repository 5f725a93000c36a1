"""Sensorium 2023 folders: what is read is what lies there, and what is odd is told."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.layout import KINDS, MOMENTS
from rtrecon.datasets.sensorium.trial import Trial
from rtrecon.datasets.sensorium.write import Neurons, write_folder

N, LONGEST = 7, 40
# tier and frames of each trial
TRIALS = [("train", 40), ("oracle", 31), ("train", 25), ("final_test_main", 33)]
WITHHELD = 3  # the trial whose responses are not there


def trial(index: int) -> Trial:
    rng = np.random.default_rng(index)
    n_frames = TRIALS[index][1]
    behavior = rng.normal(50, 9, (n_frames, 4)).astype(np.float32)
    responses = rng.gamma(0.1, 20, (n_frames, N)).astype(np.float32)
    movie = rng.uniform(0, 255, (n_frames, *layout.SHAPE)).astype(np.float32)
    return Trial(movie, behavior, None if index == WITHHELD else responses)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("sensorium") / "dynamic29515-10-12-Video-0123"
    ids = np.array([1, 4, 5, 90, 91, 300, 8900])
    places = np.array([[10 * i, -3 * i, 200 + 25 * (i % 2)] for i in range(N)])
    trials = ((tier, trial(i)) for i, (tier, _) in enumerate(TRIALS))
    write_folder(path, Neurons(ids, places), LONGEST, trials)
    return path


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / written.name)


def rewrite(path, change):
    np.save(path, change(np.load(path)))


def test_what_was_written_is_read(written):
    folder = Folder(written)
    assert folder.name == "dynamic29515-10-12-Video-0123"
    assert folder.frames_at_most == LONGEST
    assert folder.tiers.tolist() == [tier for tier, _ in TRIALS]
    assert folder.tier("train") == [0, 2]
    assert folder.tier("live_test_bonus") == []
    assert folder.unit_ids.tolist() == [1, 4, 5, 90, 91, 300, 8900]
    assert folder.coordinates_um[3].tolist() == [30, -9, 225]
    for index in range(len(TRIALS)):
        read, known = folder.trial(index), trial(index)
        np.testing.assert_array_equal(read.movie, known.movie)
        np.testing.assert_array_equal(read.behavior, known.behavior)
        if index != WITHHELD:
            np.testing.assert_array_equal(read.responses, known.responses)
    assert folder.trial(WITHHELD).responses is None


def test_files_are_as_the_real_ones(written):
    """Time last; shorter trials end in NaN, but for behaviour; zeros if withheld."""
    shapes = {
        "videos": (36, 64, LONGEST),
        "responses": (N, LONGEST),
        "behavior": (2, LONGEST),
        "pupil_center": (2, LONGEST),
    }
    for index, (_, n_frames) in enumerate(TRIALS):
        for kind in KINDS:
            array = np.load(written / layout.trial_file(kind, index))
            assert array.shape == shapes[kind]
            whole = kind == "behavior" or (kind == "responses" and index == WITHHELD)
            assert np.isnan(array[..., n_frames:]).all() == (
                not whole or n_frames == LONGEST
            )
            assert not np.isnan(array[..., :n_frames]).any()
    hidden = np.load(written / layout.trial_file("responses", WITHHELD))
    assert not hidden.any()


def test_statistics_are_of_each_frame_of_the_training_trials(written):
    longer, shorter = trial(0), trial(2)
    both = np.stack([longer.responses[:25], shorter.responses])
    found = Folder(written).statistics("responses")
    for moment in MOMENTS:
        of = getattr(np, moment)
        assert found[moment].shape == (N, LONGEST)
        np.testing.assert_allclose(found[moment][:, :25].T, of(both, 0), rtol=1e-5)
    np.testing.assert_allclose(found["median"][:, 25:].T, longer.responses[25:])
    assert Folder(written).statistics("videos")["max"].shape == (36, 64, LONGEST)


def test_mice_in_double_precision_are_read_as_the_others(copied):
    for kind in KINDS:
        rewrite(copied / layout.trial_file(kind, 0), lambda array: array.astype("f8"))
    read = Folder(copied).trial(0)
    for array in (read.movie, read.behavior, read.responses):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
    np.testing.assert_array_equal(read.responses, trial(0).responses)


def test_a_pupil_that_was_never_found_leaves_the_trial_whole(copied):
    rewrite(
        copied / layout.trial_file("pupil_center", 1),
        lambda array: np.full_like(array, np.nan),
    )
    read = Folder(copied).trial(1)
    assert len(read) == TRIALS[1][1]
    assert np.isnan(read.behavior[:, 2:]).all()
    assert not np.isnan(read.behavior[:, :2]).any()


def test_the_shortest_of_the_files_is_the_trial(copied):
    def shorter(array):
        array[:, 20:] = np.nan
        return array

    rewrite(copied / layout.trial_file("responses", 0), shorter)
    assert len(Folder(copied).trial(0)) == 20


def test_a_blink_between_frames_is_missing_behaviour(copied):
    def blink(array):
        array[:, 10:12] = np.nan
        return array

    rewrite(copied / layout.trial_file("pupil_center", 0), blink)
    read = Folder(copied).trial(0)
    assert len(read) == TRIALS[0][1]
    missing = np.flatnonzero(np.isnan(read.behavior).any(1))
    assert missing.tolist() == [10, 11]


def test_tiers_kept_as_objects_are_read(copied):
    tiers = np.load(copied / layout.TIERS_FILE).astype(object)
    np.save(copied / layout.TIERS_FILE, tiers, allow_pickle=True)
    assert Folder(copied).tier("train") == [0, 2]


def test_responses_that_a_copy_leaves_out_are_withheld(copied):
    (copied / layout.trial_file("responses", WITHHELD)).unlink()
    assert Folder(copied).trial(WITHHELD).responses is None


# what is changed -> words of the refusal
LACKING = {
    "meta/trials/tiers.npy": "lacks meta/trials/tiers.npy; give the unpacked folder",
    "meta/neurons/unit_ids.npy": "lacks meta/neurons/unit_ids.npy",
    "meta/neurons/cell_motor_coordinates.npy": "lacks meta/neurons/cell_motor",
    "data/videos/0.npy": "lacks data/videos/0.npy",
    "data/responses/0.npy": "lacks data/responses/0.npy",
    "data/behavior/0.npy": "lacks data/behavior/0.npy",
    "data/pupil_center/0.npy": "lacks data/pupil_center/0.npy",
    "meta/statistics/videos/all/median.npy": "lacks meta/statistics/videos",
}


@pytest.mark.parametrize("file", LACKING)
def test_a_missing_file_is_named(copied, file):
    (copied / file).unlink()
    with pytest.raises(UserError, match=LACKING[file]):
        Folder(copied).trial(0) and Folder(copied).statistics("videos")


# file, what is done to it, words of the refusal
ODD = {
    "another screen": ("data/videos/0.npy", lambda a: a[:, :50], r"videos has shape"),
    "a neuron less": ("data/responses/0.npy", lambda a: a[1:], "responses has shape"),
    "fewer frames": ("data/behavior/0.npy", lambda a: a[:, :9], "behavior has shape"),
    "no time": ("data/pupil_center/0.npy", lambda a: a[0], "pupil_center has shape"),
    "no movie": ("data/videos/0.npy", lambda a: a * np.nan, "its video is NaN"),
    "a hole": (
        "data/videos/0.npy",
        lambda a: np.where(np.arange(LONGEST) == 5, np.nan, a),
        "has NaN between its frames",
    ),
    "hidden": ("data/responses/0.npy", lambda a: 0 * a, r"tier 'train', .* all zero"),
    "texts": ("data/videos/0.npy", lambda a: a.astype("U4"), "not numbers"),
    "unknown tier": (
        "meta/trials/tiers.npy",
        lambda a: np.where(a == "oracle", "exam", a),
        "has tiers exam; known are train, oracle",
    ),
    "no tier": ("meta/trials/tiers.npy", lambda a: a[:0], "has no trial; known are"),
    "numbers": ("meta/trials/tiers.npy", lambda a: np.arange(4), "not a row of texts"),
    "an id twice": (
        "meta/neurons/unit_ids.npy",
        np.zeros_like,
        "same unit id to several neurons",
    ),
    "an id less": ("meta/neurons/unit_ids.npy", lambda a: a[1:], r"expected \(n,\)"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_file_is_refused_with_a_sentence(copied, case):
    file, change, words = ODD[case]
    rewrite(copied / file, change)
    with pytest.raises(UserError, match=words):
        Folder(copied).trial(0)


def test_a_damaged_file_is_refused(copied):
    for file in (layout.TIERS_FILE, layout.trial_file("videos", 1)):
        kept = (copied / file).read_bytes()
        (copied / file).write_bytes(kept[:40])
        with pytest.raises(UserError, match="cannot be read"):
            Folder(copied).trial(1)
        (copied / file).write_bytes(kept)


def test_objects_that_are_no_texts_are_not_rebuilt(copied):
    np.save(copied / layout.TIERS_FILE, np.array([print, len]), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read as texts"):
        Folder(copied)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a folder; give one of Sensorium"):
        Folder(tmp_path / "none")


def test_nothing_is_written_over(copied):
    with pytest.raises(UserError, match="is not an empty folder; give a new one"):
        write_folder(copied, Neurons(np.arange(N), np.zeros((N, 3))), LONGEST, [])


def test_a_trial_longer_than_the_folder_is_refused(tmp_path):
    neurons = Neurons(np.arange(N), np.zeros((N, 3)))
    with pytest.raises(UserError, match="trial 0 has 40 frames, more than the 30"):
        write_folder(tmp_path / "new", neurons, 30, [("train", trial(0))])
