"""Timing on a machine that others use too: turn by turn, ratios of pairs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def keep_to_one_core() -> None:
    """Everything on one core and one thread; call before numpy's first product."""
    for name in THREADS:
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    with suppress(AttributeError):  # not on Windows or macOS
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@dataclass(frozen=True)
class Timing:
    """Milliseconds of every call."""

    ms: Array

    @property
    def p50(self) -> float:
        """Median."""
        return float(np.median(self.ms))

    @property
    def p99(self) -> float:
        """99th percentile."""
        return float(np.percentile(self.ms, 99))


def timed(step: Callable[[Array], object], inputs: Sequence[Array]) -> Timing:
    """Time a call for each input, after one that does not count."""
    step(inputs[0])
    taken = []
    for given in inputs:
        start = time.perf_counter()
        step(given)
        taken.append(1e3 * (time.perf_counter() - start))
    return Timing(np.array(taken))


def ratio(
    ours: Callable[[Array], object],
    theirs: Callable[[Array], object],
    inputs: Sequence[Array],
    rounds: int = 9,
) -> float:
    """Return ours / theirs: median over rounds in which both take the same inputs."""
    found = []
    for k in range(rounds):
        pair = (ours, theirs) if k % 2 else (theirs, ours)
        first, second = (float(timed(step, inputs).ms.sum()) for step in pair)
        found.append(first / second if k % 2 else second / first)
    return float(np.median(found))
