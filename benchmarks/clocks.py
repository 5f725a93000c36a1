"""Error of the clock fit, for simulated clocks whose true time is known.

Ten minutes each. By edges: a line that changes once a second, read with an error of
1 ms. By the wall clock: frames at 30 Hz that arrive 5 ms late on average, at random.
Offset 1.7e9 s, drift 50 ppm. The first ten seconds are not counted.
"""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

from rtrecon.imaging.timing.clock_fit import ClockFit
from rtrecon.simulate.clocks import SimulatedClock

OFFSET_S, DRIFT = 1.7e9, 5e-5
WARM_UP_S = 10.0
# clock, pairs per second, rank of the pair that is used
CLOCKS = {
    "clock_error_ms": (SimulatedClock(OFFSET_S, DRIFT, jitter_s=1e-3), 1.0, 0.5),
    "clock_error_wall_ms": (SimulatedClock(OFFSET_S, DRIFT, delay_s=5e-3), 30.0, 1.0),
}


def simulate_errors_ms(name: str, seconds: float, seed: int = 0) -> list[float]:
    """Return the error of the fitted time just before each pair."""
    clock, rate_hz, rank = CLOCKS[name]
    fit, errors_ms = ClockFit(rank), []
    true_s = np.arange(0, seconds, 1 / rate_hz)
    clock_s = clock.clock_time(true_s)
    read_s = clock.read_time(true_s, np.random.default_rng(seed))
    for true, exact, read in zip(true_s, clock_s, read_s, strict=True):
        estimate = fit.to_reference_time(float(exact))
        if estimate is not None and true >= WARM_UP_S:
            errors_ms.append(1e3 * abs(estimate - true))
        fit.add_pair(float(read), float(true))
    return errors_ms


def measure(seconds: float = 600.0) -> dict[str, float]:
    """Return the 95th percentile of the error, by edges and by the wall clock."""
    return {
        name: round(float(np.percentile(simulate_errors_ms(name, seconds), 95)), 3)
        for name in CLOCKS
    }


def main() -> None:
    """Print the figures."""
    table = Table("clock estimated by", "error p95, ms", box=None)
    for name, figure in measure().items():
        table.add_row("wall clock" if "wall" in name else "edges", f"{figure:g}")
    Console().print(table)


if __name__ == "__main__":
    main()
