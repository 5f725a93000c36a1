"""Sounds become levels of the sound space, and levels become sounds again."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.stimulus_space.sound import SAMPLE_RATE_HZ, SOUND
from rtrecon.stimulus_space.spectrogram import compute_levels, synthesize_sound


def make_tone(hz: float, seconds: float = 0.5, amplitude: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return amplitude * np.sin(2 * np.pi * hz * t)


@pytest.mark.parametrize("band", [5, 12, 20])
def test_a_tone_is_loudest_in_its_own_band(band):
    levels = compute_levels(make_tone(SOUND.axes[0].positions[band]))
    assert levels.shape == (50, 24, 1)
    assert (levels[5:45, :, 0].argmax(1) == band).all()


def test_a_tone_ten_times_weaker_is_20_db_lower():
    loud, weak = (
        SOUND.from_levels(compute_levels(make_tone(1000, amplitude=a)))[25].max()
        for a in (0.5, 0.05)
    )
    assert loud - weak == pytest.approx(20, abs=0.5)


def test_silence_has_the_lowest_level():
    assert not compute_levels(np.zeros(SAMPLE_RATE_HZ // 10)).any()


def test_a_sound_made_from_levels_has_nearly_these_levels():
    t = np.arange(round(0.6 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sweep = 0.3 * np.sin(2 * np.pi * (600 * t + 1500 * t**2))
    levels = compute_levels(sweep)
    made = synthesize_sound(levels)
    assert made.dtype == np.float32
    assert np.abs(made).max() <= 1
    again = compute_levels(made)
    assert np.corrcoef(again.ravel(), levels.ravel())[0, 1] > 0.8
