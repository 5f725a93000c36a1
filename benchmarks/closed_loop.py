"""Measures the latency from a microscope frame to the event of a rule.

    python benchmarks/closed_loop.py [--seconds 60]

A subscriber in a separate process receives the event. The loop is that of the demo,
with rules on single neurons, which fire many times a second.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from attached import Attached, run
from rich import print as show

from rtrecon.config import ClosedLoopSettings

N_RULES = 20
LEVEL = 0.1  # activity that most neurons exceed from time to time


def make_rules() -> ClosedLoopSettings:
    """Return one rule for each of `N_RULES` neurons; they only publish events."""
    return ClosedLoopSettings.model_validate(
        {
            "rules": [
                {"name": f"neuron {i}", "when": f"mean(activity[{i}]) > {LEVEL}"}
                for i in range(N_RULES)
            ]
        }
    )


def measure(seconds: float) -> dict[str, float]:
    """Return event_latency_ms_p50, _p95, _p99, _max, and the number of events."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(seconds, Attached(rules=make_rules()), Path(folder))
    return summarize(result.event_latency_ms)


def summarize(latency_ms: np.ndarray) -> dict[str, float]:
    """Return percentiles of the latencies; raises RuntimeError without any event."""
    if not len(latency_ms):
        raise RuntimeError("no rule fired; choose a longer session")
    p50, p95, p99, largest = np.percentile(latency_ms, [50, 95, 99, 100]).tolist()
    return {
        "event_latency_ms_p50": p50,
        "event_latency_ms_p95": p95,
        "event_latency_ms_p99": p99,
        "event_latency_ms_max": largest,
        "n_events": len(latency_ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    for name, value in measure(parser.parse_args().seconds).items():
        show(
            f"{name:14} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
        )


if __name__ == "__main__":
    main()
