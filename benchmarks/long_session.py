"""Inverts half an hour of movie as in a live session, and looks for drift.

    python benchmarks/long_session.py [--minutes 30] [--every 5]

One frame processor and one inversion run without a restart. The simulated mouse of the
demo encoder sees movies that the encoder was not trained on, and every hop gets as many
steps as two cores have time for. Writes `benchmarks/results/long_session.json` (of less
than 30 minutes: `long_session.quick.json`): for every block of minutes, r over all
pixels of the final frames, the time that the steps of a hop took, and memory.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from result_files import describe_machine, write_results
from rich import print as show
from rich.progress import track

from rtrecon.config import InversionSettings, Settings
from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.objective import InverseProblem
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.metrics.similarity import video_correlation
from rtrecon.simulate.imaged_mouse import make_imaged_mouse, read_imaged_mouse
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import simulate_session

FULL_MINUTES = 30.0
_SEED = 20_000  # of movies, behaviour and noise; training used other seeds
_PART_FRAMES = round(60 * RATE_HZ)  # simulated at a time


class SimulatedFrame(NamedTuple):
    """One frame: stimulus (36, 64), behaviour (4,) and activity (n,)."""

    stimulus: Array
    behavior: Array
    activity: Array


class InvertedHop(NamedTuple):
    """Stimulus and movie (h, 36, 64) of final frames, and the time of the steps."""

    stimulus: Array
    movie: Array
    steps_ms: float


def main() -> None:
    """Run the benchmark, print and write its figures."""
    arguments = _parse_arguments()
    torch.set_num_threads(1)
    checkpoint, memory = load_checkpoint(find_checkpoint("demo")), MemoryMeter()
    frames = _simulate_frames(checkpoint, round(arguments.minutes))
    hops = _invert_frames(checkpoint, frames)
    per_block = round(arguments.every * 60 * RATE_HZ / InversionSettings().hop_frames)
    blocks = []
    for _ in track(range(round(arguments.minutes / arguments.every)), "inverting"):
        block = _summarize_hops(
            list(islice(hops, per_block))
        )  # the frames are released
        blocks.append(block | {"memory_mb": round(memory.measure_mb())})
        show(blocks[-1])
    figures = {
        "minutes_each": arguments.every,
        "blocks": blocks,
        "machine": describe_machine(),
    }
    write_results("long_session", figures, quick=arguments.minutes < FULL_MINUTES)


def _simulate_frames(checkpoint: Checkpoint, minutes: int) -> Iterator[SimulatedFrame]:
    """Image movies of one minute each, and process the frames as the daemon does."""
    card, settings = checkpoint.card, Settings()
    imaged = make_imaged_mouse(read_imaged_mouse(card.metadata, card.path))
    masks = make_cell_masks(card.rois, settings.traces)
    processor = FrameProcessor(card.mean_image[0], masks, RATE_HZ, settings)
    # Deconvolution looks ahead, so activity belongs to the oldest queued frame.
    queued = deque[tuple[Array, Array]](
        maxlen=settings.traces.deconvolution_lag_frames + 1
    )
    pixels = np.empty(imaged.field.tissue.shape, np.int16)
    for minute in range(minutes + 1):  # one more: the last frames stay queued
        movie = make_natural_movie(_PART_FRAMES, _SEED + minute)
        session = simulate_session(imaged, movie, "long", _SEED + minute)
        behavior = session.behavior.stack_measured()
        for index in range(len(session)):
            session.recording.render_frame(index, pixels)
            activity = processor.process_frame(pixels).activity
            queued.append((movie[index], behavior[index]))
            if len(queued) == queued.maxlen:
                yield SimulatedFrame(*queued[0], activity)


def _invert_frames(
    checkpoint: Checkpoint, frames: Iterator[SimulatedFrame]
) -> Iterator[InvertedHop]:
    settings, basis = InversionSettings(), make_dct_basis()
    problem = InverseProblem.from_checkpoint(checkpoint, settings)
    inversion = MapInversion(problem, settings.window_frames, settings.seed)
    stimuli = deque[Array]([np.zeros((36, 64))] * settings.window_frames)
    while hop := list(islice(frames, settings.hop_frames)):
        activity = torch.from_numpy(np.stack([frame.activity for frame in hop]))
        raw_behavior = np.stack([frame.behavior for frame in hop]).astype(np.float32)
        behavior = checkpoint.calibration.standardize_behavior(
            torch.from_numpy(raw_behavior)
        )
        movie = basis.to_pixels(inversion.push_activity(activity, behavior))
        stimuli.extend(frame.stimulus for frame in hop)
        began_s = time.perf_counter()
        for step in range(STEPS_PER_HOP):
            inversion.step(step / (STEPS_PER_HOP - 1))
        steps_ms = 1e3 * (time.perf_counter() - began_s)
        stimulus = np.stack([stimuli.popleft() for _ in hop])
        yield InvertedHop(stimulus, movie, steps_ms)


def _summarize_hops(hops: list[InvertedHop]) -> dict[str, float]:
    movie = np.concatenate([hop.movie for hop in hops])
    stimulus = np.concatenate([hop.stimulus for hop in hops])
    steps_ms = [hop.steps_ms for hop in hops]
    return {
        "r": round(video_correlation(movie, stimulus), 3),
        "steps_ms_p50": round(float(np.median(steps_ms)), 1),
        "steps_ms_p99": round(float(np.percentile(steps_ms, 99)), 1),
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    parser.add_argument("--every", type=float, default=5.0, help="minutes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
