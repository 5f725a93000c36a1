"""How soon a calibration notices a wrong clock, and how exactly it measures the lag.

    python benchmarks/afternoon.py [--quick]

Simulated mice see a movie of different clips of five seconds. The stimulus is recorded
with a clock that is wrong by a known offset; a positive offset means that pictures are
recorded too early, so that activity seems to follow later. The calibrator's own check
then looks at the first 90 s, and at more as in a calibration.

`wrong_clock_noticed_after_s`: stimulus that the check has when it first warns, for each
offset; null if it does not within five minutes. `lag_error_ms`: the measured lag after
three minutes, minus the offset and minus the lag of the same neurons without noise and
without offset. `drift_error_ms`: the same for the drift between the halves of five
minutes, with clocks that drift by 20 ppm. Each list has one value per mouse.

Two noises: Poisson, and as variable as the neurons of the SENSORIUM recordings. Writes
`benchmarks/results/afternoon.json`, or with --quick `afternoon.quick.json`.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from result_files import describe_machine, write_results
from rich import print as show

from rtrecon.calibration.recorded_minutes import RecordedRows
from rtrecon.calibration.stimulus_check import StimulusCheck, measure_recorded_lag
from rtrecon.core.types import Array
from rtrecon.metrics.stimulus_lag.repeats import hash_frames
from rtrecon.metrics.stimulus_lag.stimulus_lag import LagEstimate
from rtrecon.simulate.behavior import simulate_behavior
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.subjects.simulated import make_simulated_mouse
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.simulate.trial import simulate_trial

N_NEURONS, N_MICE = 200, 2
NOISES = ("poisson", "sensorium")
LAG_OFFSETS_MS = (-500, -200, 0, 200, 500)
WRONG_CLOCKS_S = (-7.0, -0.5, 0.5, 3.0)
DRIFT_PPM = 20.0
_LAG_S, _LONGEST_S = 180.0, 300.0
_MARGIN_S = 15.0  # before and after; longer than every offset
_CLIP_FRAMES = 150
_CHECK_EVERY_S = 10.0


class SimulatedSession:
    """One mouse, one movie; activity is paired with it by a clock that may be wrong."""

    def __init__(self, seed: int, noise: str) -> None:
        n_frames = round((_LONGEST_S + 2 * _MARGIN_S) * RATE_HZ)
        options = SubjectOptions(n_neurons=N_NEURONS, mouse_seed=seed)
        mouse = make_simulated_mouse(options, make_natural_movie(3000, seed))
        self._movie = make_natural_movie(n_frames, seed + 100, _CLIP_FRAMES)
        rng = np.random.default_rng(seed)
        behavior = simulate_behavior(n_frames, RATE_HZ, rng)
        response = simulate_trial(mouse, self._movie, behavior, seed, noise)
        self._rates = response.rate.astype(np.float32)
        self._spikes = response.spikes.astype(np.float32)
        self._picture_ids = hash_frames(self._movie)

    def pair(
        self, seconds: float, offset_s: float, drift: float = 0.0, *, noisy: bool = True
    ) -> tuple[RecordedRows, Array]:
        """Return the first seconds as recorded, and a number for each picture."""
        first, count = round(_MARGIN_S * RATE_HZ), round(seconds * RATE_HZ)
        at = np.arange(count)
        true = first + at * (1 - drift) - offset_s * RATE_HZ
        activity = _interpolate(self._spikes if noisy else self._rates, true)
        chosen = slice(first, first + count)
        return _make_rows(self._movie[chosen], activity), self._picture_ids[chosen]

    def measure(
        self, seconds: float, offset_s: float, drift: float = 0.0, *, noisy: bool = True
    ) -> LagEstimate | None:
        """Return the lag that the check finds."""
        rows, ids = self.pair(seconds, offset_s, drift, noisy=noisy)
        return measure_recorded_lag(rows, ids, RATE_HZ).estimate

    def find_warning_s(self, offset_s: float) -> float | None:
        """Return how much stimulus the check has when it first warns."""
        check = StimulusCheck()
        for seconds in np.arange(_CHECK_EVERY_S, _LONGEST_S + 1, _CHECK_EVERY_S):
            if not check.is_due(seconds / 60):
                continue
            check.run(*self.pair(float(seconds), offset_s), RATE_HZ)
            if check.warning:
                return float(seconds)
        return None


def measure_noise(noise: str, n_mice: int) -> dict[str, Any]:
    """Return the figures with one kind of noise."""
    figures: dict[str, Any] = {
        "wrong_clock_noticed_after_s": {f"{offset:g}": [] for offset in WRONG_CLOCKS_S},
        "warned_with_a_right_clock": 0,
        "lag_error_ms": {str(offset): [] for offset in LAG_OFFSETS_MS},
        "drift_error_ms": [],
    }
    for seed in range(3, 3 + n_mice):
        session = SimulatedSession(seed, noise)
        for offset_s in WRONG_CLOCKS_S:
            noticed = figures["wrong_clock_noticed_after_s"][f"{offset_s:g}"]
            noticed.append(session.find_warning_s(offset_s))
        is_warned = session.find_warning_s(0.0) is not None
        figures["warned_with_a_right_clock"] += is_warned
        true = session.measure(_LONGEST_S, 0.0, noisy=False)
        if true is None:
            raise SystemExit(f"mouse {seed} has too few neurons that follow the movie")
        for offset_ms in LAG_OFFSETS_MS:
            found = session.measure(_LAG_S, offset_ms / 1e3)
            figures["lag_error_ms"][str(offset_ms)].append(
                None
                if found is None
                else round(1e3 * (found.lag_s - true.lag_s) - offset_ms, 1)
            )
        drifting = session.measure(_LONGEST_S, 0.0, DRIFT_PPM / 1e6)
        expected_ms = DRIFT_PPM / 1e6 * _LONGEST_S / 2 * 1e3
        figures["drift_error_ms"].append(
            None if drifting is None else round(1e3 * drifting.drift_s - expected_ms, 1)
        )
    return figures


def _interpolate(activity: Array, at: Array) -> Array:
    whole = np.floor(at).astype(int)
    share = (at - whole).astype(np.float32)[:, None]
    mixed: Array = (1 - share) * activity[whole] + share * activity[whole + 1]
    return mixed


def _make_rows(movie: Array, activity: Array) -> RecordedRows:
    behavior = np.full((len(movie), 4), np.nan, np.float32)
    return RecordedRows(np.arange(len(movie)), movie, behavior, activity)


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one mouse, one noise")
    quick = parser.parse_args().quick
    n_mice = 1 if quick else N_MICE
    figures: dict[str, Any] = {
        "neurons": N_NEURONS,
        "mice": n_mice,
        "lag_minutes": _LAG_S / 60,
        "drift_ppm": DRIFT_PPM,
        "drift_minutes": _LONGEST_S / 60,
        "noise": {
            noise: measure_noise(noise, n_mice)
            for noise in (NOISES[:1] if quick else NOISES)
        },
        "machine": describe_machine(),
    }
    figures["cpu_minutes"] = round(time.process_time() / 60, 1)
    show(figures)
    show(f"written to {write_results('afternoon', figures, quick=quick)}")


if __name__ == "__main__":
    main()
