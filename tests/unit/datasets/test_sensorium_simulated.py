"""Simulated sessions as folders: every trial is the clip and the activity it was."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.simulated import Program, show, write_session
from rtrecon.simulate.session import make_world

N_NEURONS, SIDE_PX = 12, 96
PROGRAM = Program(
    train=4, oracle_movies=2, repeats=3, withheld=2, trial_frames=40, seed=5
)


@pytest.fixture(scope="module")
def session():
    return show(make_world(N_NEURONS, SIDE_PX, seed=1), PROGRAM)


@pytest.fixture(scope="module")
def folder(session, tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "mouse"
    write_session(path, session, PROGRAM, session.response.spikes)
    return Folder(path)


def test_every_trial_is_its_part_of_the_session(folder, session):
    assert len(folder.tiers) == len(PROGRAM) == 12
    for index, tier in enumerate(folder.tiers):
        own, trial = slice(40 * index, 40 * (index + 1)), folder.trial(index)
        np.testing.assert_array_equal(trial.movie, session.movie[own])
        dilation, speed = trial.behavior[:, :2].T
        np.testing.assert_array_equal(dilation, session.behavior.pupil_dilation[own])
        np.testing.assert_array_equal(speed, session.behavior.running_speed[own])
        if tier == "live_test_main":
            assert trial.responses is None
        else:
            spikes = session.response.spikes[own]
            np.testing.assert_array_equal(trial.responses, spikes)


def test_tiers_and_repeats_are_as_planned(folder):
    movies = collections.defaultdict(collections.Counter)
    for index, tier in enumerate(folder.tiers):
        movies[tier][folder.trial(index).movie.tobytes()] += 1
    shown = {tier: sorted(seen.values()) for tier, seen in movies.items()}
    assert shown == {"train": [1] * 4, "oracle": [3] * 2, "live_test_main": [1] * 2}


def test_neurons_are_the_fields_in_its_order(folder, session):
    masks = session.recording.field.masks
    assert folder.unit_ids.tolist() == masks.ids.tolist()
    x, y, z = folder.coordinates_um.T
    assert np.corrcoef(x, masks.centers()[:, 1])[0, 1] > 0.99
    assert np.corrcoef(y, masks.centers()[:, 0])[0, 1] > 0.99
    assert set(z) == {200}


def test_the_pupil_wanders_about_a_place_that_pupils_have(folder):
    x, y = np.concatenate([folder.trial(i).behavior[:, 2:] for i in range(12)]).T
    for coordinate, low, high in ((x, 130, 170), (y, 125, 165)):
        assert low < coordinate.mean() < high
        assert 1 < coordinate.std() < 12


def test_an_empty_program_is_refused():
    with pytest.raises(UserError, match="shows nothing"):
        show(make_world(N_NEURONS, SIDE_PX, seed=1), Program(train=0, repeats=0))
