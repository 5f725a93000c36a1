"""Simulated running and pupil stay in the range of recorded mice."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.simulate.behavior import ornstein_uhlenbeck_noise, simulate_behavior

RATE_HZ = 30.0
HOUR = round(3600 * RATE_HZ)

# Statistic of one hour -> its range in ten recorded mice.
RANGES = {
    "mean speed, cm/s": (0.3, 5.0),
    "share of time still": (0.5, 0.95),
    "mean pupil, px": (40.0, 60.0),
    "smallest pupil, px": (10.0, 30.0),
    "largest pupil, px": (70.0, 92.0),
}


def test_simulated_behavior_has_the_range_of_recorded_mice():
    behavior = simulate_behavior(HOUR, RATE_HZ, np.random.default_rng(0))
    speed, pupil = behavior.running_speed, behavior.pupil_dilation
    statistics = {
        "mean speed, cm/s": speed.mean(),
        "share of time still": (speed < 0.5).mean(),
        "mean pupil, px": pupil.mean(),
        "smallest pupil, px": pupil.min(),
        "largest pupil, px": pupil.max(),
    }
    assert speed.min() >= 0
    for name, (low, high) in RANGES.items():
        assert low <= statistics[name] <= high, f"{name}: {statistics[name]:.3f}"


def test_pupil_size_follows_arousal():
    behavior = simulate_behavior(HOUR, RATE_HZ, np.random.default_rng(0))
    assert np.corrcoef(behavior.pupil_dilation, behavior.arousal)[0, 1] > 0.95


def test_the_same_seed_gives_the_same_behavior():
    first, same, other = (
        simulate_behavior(300, RATE_HZ, np.random.default_rng(seed)).pupil_dilation
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()


def test_stacked_behavior_is_nan_where_nothing_is_simulated():
    behavior = simulate_behavior(300, RATE_HZ, np.random.default_rng(0))
    columns = dict(zip(BEHAVIOR, behavior.stack_measured().T, strict=True))
    unknown = [name for name in BEHAVIOR if np.isnan(columns[name]).all()]
    assert unknown == ["pupil_x", "pupil_y"]
    for name in ("pupil_dilation", "running_speed"):
        np.testing.assert_array_equal(columns[name], getattr(behavior, name))
        assert columns[name].dtype == np.float32


@pytest.mark.parametrize("tau_frames", [3.0, 30.0])
def test_ornstein_uhlenbeck_noise_has_unit_variance_and_its_time_constant(tau_frames):
    noise = ornstein_uhlenbeck_noise((100_000, 4), tau_frames, np.random.default_rng(0))
    lag = round(tau_frames)
    later = (noise[lag:] * noise[:-lag]).mean()
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert later == pytest.approx(np.exp(-1), abs=0.05)
    assert noise[0].std() > 0.1  # the process starts in its steady state
