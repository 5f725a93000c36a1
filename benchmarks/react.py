"""How long from a frame to the event that it sets off, in the ear of a listener.

    python benchmarks/react.py [--seconds 60]

The demo's loop with rules on single neurons, which fire many times a second.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from attached import Attached, run
from rich import print as show

from rtrecon.config import ReactSettings

N_RULES = 20
_LEVEL = 0.1  # of activity: most neurons are above it now and then


def rules() -> ReactSettings:
    """Return rules on some neurons, each for itself; no output but the event."""
    return ReactSettings.model_validate(
        {
            "rules": [
                {"name": f"neuron {i}", "when": f"mean(activity[{i}]) > {_LEVEL}"}
                for i in range(N_RULES)
            ]
        }
    )


def measure(seconds: float) -> dict[str, float]:
    """Return react_ms_p50, _p95, _p99, _max, and how many events there were."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(seconds, Attached(react=rules()), Path(folder))
    return figures(found.react_ms)


def figures(react_ms: np.ndarray) -> dict[str, float]:
    """Return the distribution of these latencies."""
    if not len(react_ms):
        raise RuntimeError("no rule fired; was the session long enough?")
    p50, p95, p99, largest = np.percentile(react_ms, [50, 95, 99, 100]).tolist()
    return {
        "react_ms_p50": p50,
        "react_ms_p95": p95,
        "react_ms_p99": p99,
        "react_ms_max": largest,
        "react_events": len(react_ms),
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
