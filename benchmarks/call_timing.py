"""Timing on a shared machine: alternating runs, and ratios of pairs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def pin_to_one_core() -> None:
    """Use one core and one thread; call before numpy's first matrix product."""
    for name in THREADS:
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    with suppress(AttributeError):  # not on Windows or macOS
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@dataclass(frozen=True)
class CallTimes:
    """Duration of every call in milliseconds."""

    ms: Array

    @property
    def p50(self) -> float:
        """Median."""
        return float(np.median(self.ms))

    @property
    def p99(self) -> float:
        """99th percentile."""
        return float(np.percentile(self.ms, 99))


def time_calls(step: Callable[[Array], object], inputs: Sequence[Array]) -> CallTimes:
    """Time one call for each input, after a call that does not count."""
    step(inputs[0])
    durations_ms = []
    for value in inputs:
        start = time.perf_counter()
        step(value)
        durations_ms.append(1e3 * (time.perf_counter() - start))
    return CallTimes(np.array(durations_ms))


def measure_time_ratio(
    ours: Callable[[Array], object],
    theirs: Callable[[Array], object],
    inputs: Sequence[Array],
    rounds: int = 9,
) -> float:
    """Return ours / theirs: median over rounds in which both take the same inputs."""
    ratios = []
    for k in range(rounds):
        pair = (ours, theirs) if k % 2 else (theirs, ours)
        first, second = (float(time_calls(step, inputs).ms.sum()) for step in pair)
        ratios.append(first / second if k % 2 else second / first)
    return float(np.median(ratios))
