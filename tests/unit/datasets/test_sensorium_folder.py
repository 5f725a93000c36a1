"""Sensorium 2023 folders: data are read as folder_path, and damaged folders refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.layout import DATA_KINDS, STATISTICS
from rtrecon.datasets.sensorium.trial import SensoriumTrial
from rtrecon.datasets.sensorium.write import NeuronTable, write_folder

N, LONGEST = 7, 40
# tier and frames of each trial
TRIALS = [("train", 40), ("oracle", 31), ("train", 25), ("final_test_main", 33)]
WITHHELD = 3  # the trial whose responses are not there


def make_trial(index: int) -> SensoriumTrial:
    rng = np.random.default_rng(index)
    n_frames = TRIALS[index][1]
    behavior = rng.normal(50, 9, (n_frames, 4)).astype(np.float32)
    responses = rng.gamma(0.1, 20, (n_frames, N)).astype(np.float32)
    movie = rng.uniform(0, 255, (n_frames, *layout.MOVIE_SHAPE)).astype(np.float32)
    return SensoriumTrial(movie, behavior, None if index == WITHHELD else responses)


@pytest.fixture(scope="module")
def folder_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("sensorium") / "dynamic29515-10-12-Video-0123"
    ids = np.array([1, 4, 5, 90, 91, 300, 8900])
    places = np.array([[10 * i, -3 * i, 200 + 25 * (i % 2)] for i in range(N)])
    trials = ((tier, make_trial(i)) for i, (tier, _) in enumerate(TRIALS))
    write_folder(path, NeuronTable(ids, places), LONGEST, trials)
    return path


@pytest.fixture
def copied(folder_path, tmp_path):
    return shutil.copytree(folder_path, tmp_path / folder_path.name)


def rewrite(path, change):
    np.save(path, change(np.load(path)))


def test_a_written_folder_is_read_back(folder_path):
    folder = SensoriumFolder(folder_path)
    assert folder.name == "dynamic29515-10-12-Video-0123"
    assert folder.max_frames == LONGEST
    assert folder.tiers.tolist() == [tier for tier, _ in TRIALS]
    assert folder.list_trials("train") == [0, 2]
    assert folder.list_trials("live_test_bonus") == []
    assert folder.unit_ids.tolist() == [1, 4, 5, 90, 91, 300, 8900]
    assert folder.coordinates_um[3].tolist() == [30, -9, 225]
    for index in range(len(TRIALS)):
        read, known = folder.read_trial(index), make_trial(index)
        np.testing.assert_array_equal(read.movie, known.movie)
        np.testing.assert_array_equal(read.behavior, known.behavior)
        if index != WITHHELD:
            np.testing.assert_array_equal(read.responses, known.responses)
    assert folder.read_trial(WITHHELD).responses is None


def test_files_have_the_layout_of_the_real_data(folder_path):
    """Time last; shorter trials end in NaN, but for behaviour; zeros if withheld."""
    shapes = {
        "videos": (36, 64, LONGEST),
        "responses": (N, LONGEST),
        "behavior": (2, LONGEST),
        "pupil_center": (2, LONGEST),
    }
    for index, (_, n_frames) in enumerate(TRIALS):
        for kind in DATA_KINDS:
            array = np.load(folder_path / layout.get_trial_path(kind, index))
            assert array.shape == shapes[kind]
            whole = kind == "behavior" or (kind == "responses" and index == WITHHELD)
            assert np.isnan(array[..., n_frames:]).all() == (
                not whole or n_frames == LONGEST
            )
            assert not np.isnan(array[..., :n_frames]).any()
    hidden = np.load(folder_path / layout.get_trial_path("responses", WITHHELD))
    assert not hidden.any()


def test_statistics_are_those_of_each_frame_over_training_trials(folder_path):
    longer, shorter = make_trial(0), make_trial(2)
    both = np.stack([longer.responses[:25], shorter.responses])
    found = SensoriumFolder(folder_path).read_statistics("responses")
    for moment in STATISTICS:
        of = getattr(np, moment)
        assert found[moment].shape == (N, LONGEST)
        np.testing.assert_allclose(found[moment][:, :25].T, of(both, 0), rtol=1e-5)
    np.testing.assert_allclose(found["median"][:, 25:].T, longer.responses[25:])
    assert SensoriumFolder(folder_path).read_statistics("videos")["max"].shape == (
        36,
        64,
        LONGEST,
    )


def test_files_in_double_precision_are_read_as_float32(copied):
    for kind in DATA_KINDS:
        rewrite(
            copied / layout.get_trial_path(kind, 0), lambda array: array.astype("f8")
        )
    read = SensoriumFolder(copied).read_trial(0)
    for array in (read.movie, read.behavior, read.responses):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
    np.testing.assert_array_equal(read.responses, make_trial(0).responses)


def test_a_trial_without_any_pupil_position_keeps_its_length(copied):
    rewrite(
        copied / layout.get_trial_path("pupil_center", 1),
        lambda array: np.full_like(array, np.nan),
    )
    read = SensoriumFolder(copied).read_trial(1)
    assert len(read) == TRIALS[1][1]
    assert np.isnan(read.behavior[:, 2:]).all()
    assert not np.isnan(read.behavior[:, :2]).any()


def test_the_shortest_file_determines_the_length_of_the_trial(copied):
    def shorter(array):
        array[:, 20:] = np.nan
        return array

    rewrite(copied / layout.get_trial_path("responses", 0), shorter)
    assert len(SensoriumFolder(copied).read_trial(0)) == 20


def test_a_pupil_that_is_lost_early_does_not_shorten_the_trial(copied):
    def lost(array):
        array[:, 20:] = np.nan
        return array

    rewrite(copied / layout.get_trial_path("pupil_center", 0), lost)
    read = SensoriumFolder(copied).read_trial(0)
    assert len(read) == TRIALS[0][1]
    assert np.isnan(read.behavior[20:, 2:]).all()


def test_a_blink_is_read_as_nan(copied):
    def blink(array):
        array[:, 10:12] = np.nan
        return array

    rewrite(copied / layout.get_trial_path("pupil_center", 0), blink)
    read = SensoriumFolder(copied).read_trial(0)
    assert len(read) == TRIALS[0][1]
    missing = np.flatnonzero(np.isnan(read.behavior).any(1))
    assert missing.tolist() == [10, 11]


def test_tiers_stored_as_objects_are_read(copied):
    tiers = np.load(copied / layout.TIERS_FILE).astype(object)
    np.save(copied / layout.TIERS_FILE, tiers, allow_pickle=True)
    assert SensoriumFolder(copied).list_trials("train") == [0, 2]


def test_responses_without_a_file_are_withheld(copied):
    (copied / layout.get_trial_path("responses", WITHHELD)).unlink()
    assert SensoriumFolder(copied).read_trial(WITHHELD).responses is None


# missing file -> words of the error
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
        SensoriumFolder(copied).read_trial(0) and SensoriumFolder(
            copied
        ).read_statistics("videos")


# file, how it is changed, words of the error
WRONG = {
    "another screen": ("data/videos/0.npy", lambda a: a[:, :50], r"videos has shape"),
    "a neuron less": ("data/responses/0.npy", lambda a: a[1:], "responses has shape"),
    "fewer frames": ("data/behavior/0.npy", lambda a: a[:, :9], "behavior has shape"),
    "no time": ("data/pupil_center/0.npy", lambda a: a[0], "pupil_center has shape"),
    "no movie": ("data/videos/0.npy", lambda a: a * np.nan, "its video is NaN"),
    "from 0 to 1": ("data/videos/0.npy", lambda a: a / 255, "but 255 is white"),
    "infinite": ("data/videos/0.npy", lambda a: a + np.inf, "infinite values"),
    "NaN between frames": (
        "data/videos/0.npy",
        lambda a: np.where(np.arange(LONGEST) == 5, np.nan, a),
        "has NaN between its frames",
    ),
    "hidden": ("data/responses/0.npy", lambda a: 0 * a, r"tier 'train', .* all zero"),
    "texts": ("data/videos/0.npy", lambda a: a.astype("U4"), "not numbers"),
    "unknown tier": (
        "meta/trials/tiers.npy",
        lambda a: np.where(a == "oracle", "exam", a),
        "has tiers exam; known tiers are train, oracle",
    ),
    "no tier": (
        "meta/trials/tiers.npy",
        lambda a: a[:0],
        "has no trial; known tiers are",
    ),
    "numbers": ("meta/trials/tiers.npy", lambda a: np.arange(4), "not a row of texts"),
    "an id twice": (
        "meta/neurons/unit_ids.npy",
        np.zeros_like,
        "same unit id to several neurons",
    ),
    "an id less": ("meta/neurons/unit_ids.npy", lambda a: a[1:], r"expected \(n,\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_the_reason(copied, case):
    file, change, words = WRONG[case]
    rewrite(copied / file, change)
    with pytest.raises(UserError, match=words):
        SensoriumFolder(copied).read_trial(0)


def test_a_damaged_file_is_refused(copied):
    for file in (layout.TIERS_FILE, layout.get_trial_path("videos", 1)):
        kept = (copied / file).read_bytes()
        (copied / file).write_bytes(kept[:40])
        with pytest.raises(UserError, match="cannot be read"):
            SensoriumFolder(copied).read_trial(1)
        (copied / file).write_bytes(kept)


def test_objects_that_are_not_texts_are_not_unpickled(copied):
    np.save(copied / layout.TIERS_FILE, np.array([print, len]), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read as texts"):
        SensoriumFolder(copied)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a folder; give one of Sensorium"):
        SensoriumFolder(tmp_path / "none")


def test_an_existing_folder_is_not_overwritten(copied):
    with pytest.raises(UserError, match="is not an empty folder; give a new one"):
        write_folder(copied, NeuronTable(np.arange(N), np.zeros((N, 3))), LONGEST, [])


def test_a_trial_longer_than_the_folder_is_refused(tmp_path):
    neurons = NeuronTable(np.arange(N), np.zeros((N, 3)))
    with pytest.raises(UserError, match="trial 0 has 40 frames, more than the 30"):
        write_folder(tmp_path / "new", neurons, 30, [("train", make_trial(0))])
