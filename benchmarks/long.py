"""Half an hour of movie, inverted live but for the clock: does anything drift?

    python benchmarks/long.py [--minutes 30] [--every 5]

One front and one inversion, never begun anew: the simulated mouse of the shipped
encoder is shown movies that it was not trained on, and every hop gets as many steps as
two cores have time for. Writes `benchmarks/results/long.json`: of every so many minutes
r over all pixels of the final frames, the time that a hop's steps took, and memory.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from loop import RESULTS, machine
from rich import print as show
from rich.progress import track

from rtrecon.config import InvertSettings, Settings
from rtrecon.core.types import Array
from rtrecon.encoder.card import find
from rtrecon.encoder.checkpoint import Checkpoint, load
from rtrecon.encoder.spectrum import spectrum
from rtrecon.imaging.frame_processor import Chain
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.inversion.live.inverter import LiveInverter
from rtrecon.inversion.objective import Problem
from rtrecon.inversion.offline.compact import STEPS_PER_HOP
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.metrics.similarity import video_correlation
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import make_session, make_world

_SEED = 20_000  # of movies, behaviour and noise: far from every one trained on
_PART_FRAMES = round(60 * RATE_HZ)  # simulated at a time


class Moment(NamedTuple):
    """A frame that was shown (36, 64), what the mouse did (4,), its activity (n,)."""

    shown: Array
    behavior: Array
    activity: Array


class Hop(NamedTuple):
    """Frames that became final: as shown and as made, (h, 36, 64) each; steps' time."""

    shown: Array
    made: Array
    steps_ms: float


def main() -> None:
    """Invert, print and write."""
    given = _arguments()
    torch.set_num_threads(1)
    checkpoint, memory = load(find("demo")), MemoryMeter()
    moments = _moments(checkpoint, round(given.minutes))
    hops = _inverted(checkpoint, moments)
    per_block = round(given.every * 60 * RATE_HZ / InvertSettings().hop_frames)
    blocks = []
    for _ in track(range(round(given.minutes / given.every)), "inverting"):
        figures = _figures(list(islice(hops, per_block)))  # whose frames are let go
        blocks.append(figures | {"memory_mb": round(memory.now_mb())})
        show(blocks[-1])
    found = {"minutes_each": given.every, "blocks": blocks, "machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "long.json").write_text(json.dumps(found, indent=2) + "\n")


def _moments(checkpoint: Checkpoint, minutes: int) -> Iterator[Moment]:
    """Image movies of a minute each, one after the other, and read them live."""
    card, settings = checkpoint.card, Settings()
    mouse = card.meta["simulated"]
    world = make_world(mouse["n_neurons"], mouse["side_px"], mouse["mouse_seed"])
    masks = with_rings(card.rois, settings.traces)
    chain = Chain(card.mean_image[0], masks, RATE_HZ, settings)
    # Deconvolution looks ahead: activity is that of the oldest frame that waits.
    waiting = deque[tuple[Array, Array]](
        maxlen=settings.traces.deconvolve_lag_frames + 1
    )
    pixels = np.empty(world.field.tissue.shape, np.int16)
    for minute in range(minutes + 1):  # one more: the last frames wait for others
        movie = natural_movie(_PART_FRAMES, _SEED + minute)
        session = make_session(world, movie, "long", _SEED + minute)
        behavior = session.behavior.measured()
        for index in range(len(session)):
            session.recording.frame(index, pixels)
            activity = chain.process(pixels).activity
            waiting.append((movie[index], behavior[index]))
            if len(waiting) == waiting.maxlen:
                yield Moment(*waiting[0], activity)


def _inverted(checkpoint: Checkpoint, moments: Iterator[Moment]) -> Iterator[Hop]:
    settings, low = InvertSettings(), spectrum()
    problem = Problem.of(checkpoint, settings)
    inverter = LiveInverter(problem, settings.window_frames, settings.seed)
    shown = deque[Array]([np.zeros((36, 64))] * settings.window_frames)
    while hop := list(islice(moments, settings.hop_frames)):
        activity = torch.from_numpy(np.stack([moment.activity for moment in hop]))
        told = np.stack([moment.behavior for moment in hop]).astype(np.float32)
        behavior = checkpoint.calibration.scaled(torch.from_numpy(told))
        made = low.to_pixels(inverter.advance(activity, behavior))
        shown.extend(moment.shown for moment in hop)
        began_s = time.perf_counter()
        for step in range(STEPS_PER_HOP):
            inverter.step(step / (STEPS_PER_HOP - 1))
        steps_ms = 1e3 * (time.perf_counter() - began_s)
        yield Hop(np.stack([shown.popleft() for _ in hop]), made, steps_ms)


def _figures(hops: list[Hop]) -> dict[str, float]:
    made, shown = (
        np.concatenate(each) for each in list(zip(*hops, strict=True))[1::-1]
    )
    steps_ms = [hop.steps_ms for hop in hops]
    return {
        "r": round(video_correlation(made, shown), 3),
        "steps_ms_p50": round(float(np.median(steps_ms)), 1),
        "steps_ms_p99": round(float(np.percentile(steps_ms, 99)), 1),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=5.0, help="minutes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
