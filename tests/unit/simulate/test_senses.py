"""Simulated neurons of other senses: causal, tuned, suppressed, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.simulate.auditory.cortex import AuditoryCortex
from rtrecon.simulate.movie import repeat_frames
from rtrecon.simulate.senses import SENSES, find_sense
from rtrecon.simulate.sensory_session import (
    SensoryOptions,
    read_sensory_options,
    simulate_sensory_session,
)
from rtrecon.stimulus_space.sound import SOUND

N = 40
QUIET, LOUD = 20, 200


@pytest.fixture(scope="module")
def cortex() -> AuditoryCortex:
    return AuditoryCortex(N, 3)


def compute_rates(subject, levels):
    return subject.compute_rates(levels, np.random.default_rng(0))


def make_sweep(rising: bool) -> np.ndarray:
    """A tone that crosses all bands in 0.24 s."""
    levels = np.full((60, *SOUND.shape), QUIET, np.uint8)
    for step in range(24):
        band = step if rising else 23 - step
        levels[20 + step, band] = LOUD
    return levels


def test_a_later_frame_changes_no_earlier_rate(cortex):
    before = make_sweep(True)
    after = before.copy()
    after[50:] = LOUD
    same = compute_rates(cortex, before)[:50] == compute_rates(cortex, after)[:50]
    assert same.all()


def test_a_tone_drives_the_neurons_of_its_frequency_most(cortex):
    levels = np.full((60, *SOUND.shape), QUIET, np.uint8)
    levels[20:30, 12] = LOUD
    gain = compute_rates(cortex, levels)[20:40].mean(0)
    gain /= compute_rates(cortex, levels)[:20].mean(0)
    apart = np.abs(np.log2(cortex.best_frequency_hz / SOUND.axes[0].positions[12]))
    assert gain[apart < 0.4].mean() > 2 * gain[apart > 2].mean()


def test_some_neurons_prefer_rising_and_some_falling_sweeps(cortex):
    rising, falling = (
        compute_rates(cortex, make_sweep(way)).sum(0) for way in (True, False)
    )
    preference = (rising - falling) / (rising + falling)
    assert preference.max() > 0.1
    assert preference.min() < -0.1


def test_a_sound_suppresses_the_answer_to_the_next(cortex):
    single = np.full((60, *SOUND.shape), QUIET, np.uint8)
    single[40:45] = LOUD
    double = single.copy()
    double[28:33] = LOUD
    answer = [compute_rates(cortex, each)[40:50].mean() for each in (single, double)]
    assert answer[1] < 0.95 * answer[0]


@pytest.mark.parametrize("name", SENSES)
def test_a_session_is_determined_by_its_seeds(name):
    sense = find_sense(name)
    levels = sense.make_stimulus(200, 5)
    assert levels.shape == (200, *sense.space.shape)
    assert levels.dtype == np.uint8
    assert levels.std() > 10
    first, second, other = (
        simulate_sensory_session(sense.make_subject(20, 1), levels, seed)
        for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.counts, second.counts)
    assert (first.counts != other.counts).any()
    assert 0.5 < first.rates.mean() * sense.space.rate_hz < 40


@pytest.mark.parametrize("name", SENSES)
def test_sensitivity_has_the_axes_of_the_space(name):
    sense = find_sense(name)
    found = sense.make_subject(20, 1).map_sensitivity()
    assert found.shape == sense.space.shape
    assert found.max() == pytest.approx(1)


def test_a_stimulus_is_repeated_to_the_length_that_is_needed():
    sense = find_sense("touch")
    levels = sense.make_stimulus(30, 1)
    repeated = repeat_frames(levels, 70)
    assert len(repeated) == 70
    np.testing.assert_array_equal(repeated[30:60], levels)


def test_a_sense_nobody_knows_is_refused_with_the_senses_there_are():
    with pytest.raises(UserError, match=r"no sense 'smell'.* video, sound, touch"):
        find_sense("smell")


def test_a_checkpoint_names_the_neurons_it_was_trained_on():
    options = SensoryOptions("sound", 12, 3)
    assert read_sensory_options(options.to_metadata(), "m") == options
    with pytest.raises(UserError, match="m was not trained on simulated neurons"):
        read_sensory_options({}, "m")
