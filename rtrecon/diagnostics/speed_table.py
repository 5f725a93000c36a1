"""How many neurons and frames per second a computer holds, by trying it.

The field and the encoder are made up, because only the time is measured; settings are
the defaults. Time on a CPU is that of one core, without what other programs take.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from rtrecon.config import InversionSettings, Settings
from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.inversion.device import configure_torch, limit_threads
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.objective import InverseProblem
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.rois.roi_set import RoiSet, build_roi_set
from rtrecon.stimulus_space.video import IMAGE_SHAPE

NEURON_COUNTS = (100, 1000, 2000, 5000, 10_000)
SHAPE = (512, 512)
MIN_STEPS_PER_HOP = 4  # below, the movie loses quality
_RADIUS_PX = 6
_N_FRAMES, _N_WARM_UP_FRAMES = 80, 20
_N_DISTINCT_FRAMES = 8
_N_HOPS, _N_WARM_UP_HOPS = 6, 2


@dataclass(frozen=True)
class Speed:
    """What this computer holds with so many neurons.

    frames_per_s: of 512 x 512 pixels, on one core. steps_per_hop: by device.
    """

    n_neurons: int
    frames_per_s: float
    steps_per_hop: dict[str, float]

    def describe(self) -> str:
        """Return a sentence."""
        steps = ", ".join(
            f"{count:.0f} steps per hop on the {_DEVICE_NAMES[device]}"
            + ("" if count >= MIN_STEPS_PER_HOP else " (too few for a good movie)")
            for device, count in self.steps_per_hop.items()
        )
        return (
            f"{self.n_neurons} neurons: the daemon sustains {self.frames_per_s:.0f} "
            f"frames per second of {SHAPE[0]} x {SHAPE[1]}; the inverter takes {steps}"
        )


_DEVICE_NAMES = {"cpu": "CPU", "cuda": "GPU"}


def measure_speeds(counts: tuple[int, ...] = NEURON_COUNTS) -> Iterator[Speed]:
    """Yield the speed for each number of neurons; takes some seconds for each."""
    configure_torch(repeatable=False)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for count in counts:
        steps = {device: _measure_steps(count, device) for device in devices}
        yield Speed(count, 1 / _measure_frame_s(count), steps)


def _measure_frame_s(n_neurons: int) -> float:
    """Return the median time of a frame, in s."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    template = np.asarray(200 + 50 * np.sin(y / 9.0) * np.cos(x / 7.0), np.float32)
    settings = Settings()
    masks = make_cell_masks(_scatter_cells(n_neurons, rng), settings.traces)
    processor = FrameProcessor(
        template, masks, settings.timing.encoder_rate_hz, settings
    )
    processor.warm_up()
    frames = [
        (np.roll(template, shift, (0, 1)) + rng.normal(0, 35, SHAPE)).astype(np.int16)
        for shift in rng.integers(-3, 4, (_N_DISTINCT_FRAMES, 2))
    ]
    times_s = []
    for k in range(_N_FRAMES):
        start_s = time.process_time()
        processor.process_frame(frames[k % _N_DISTINCT_FRAMES])
        times_s.append(time.process_time() - start_s)
    return float(np.median(times_s[_N_WARM_UP_FRAMES:]))


def _scatter_cells(n_neurons: int, rng: np.random.Generator) -> RoiSet:
    """Return discs at random positions; they overlap where there are many."""
    sides = np.array(SHAPE) - 2 * _RADIUS_PX
    centers = _RADIUS_PX + rng.random((n_neurons, 2)) * sides
    offsets: Array = np.arange(-_RADIUS_PX, _RADIUS_PX + 1)
    dy, dx = np.meshgrid(offsets, offsets, indexing="ij")
    disc = np.stack([dy, dx])[:, dy**2 + dx**2 <= _RADIUS_PX**2]
    weights = np.ones(disc.shape[1], np.float32)
    pixels = [(y + disc[0], x + disc[1], weights) for y, x in centers.astype(int)]
    return build_roi_set(np.arange(n_neurons), SHAPE, pixels)


def _measure_steps(n_neurons: int, device: str) -> float:
    """Return how many steps of the inversion fit into a hop."""
    settings = InversionSettings()
    hop_s = settings.hop_frames / Settings().timing.encoder_rate_hz
    budget_s = settings.time_budget_fraction * hop_s * (0.5 if settings.null else 1.0)
    encoder = _make_encoder(n_neurons).to(torch.device(device))
    prior = load_checkpoint(find_checkpoint("demo")).prior
    problem = InverseProblem(encoder, prior, torch.ones(n_neurons))
    with limit_threads(encoder):
        inversion = MapInversion(problem, settings.window_frames)
        steps = [
            _count_steps(inversion, (settings.hop_frames, n_neurons), budget_s)
            for _ in range(_N_WARM_UP_HOPS + _N_HOPS)
        ]
    return float(np.median(steps[_N_WARM_UP_HOPS:]))


def _count_steps(
    inversion: MapInversion, shape: tuple[int, int], budget_s: float
) -> int:
    """Push activity (frames, neurons), and step until the time is used."""
    is_on_cpu = inversion.problem.device.type == "cpu"
    read_clock = time.process_time if is_on_cpu else time.perf_counter
    begin_s = read_clock()
    inversion.push_activity(torch.rand(shape), torch.zeros(shape[0], len(BEHAVIOR)))
    n_steps, last_s = 0, read_clock()
    while True:
        inversion.step(min(1.0, (last_s - begin_s) / budget_s))
        inversion.synchronize()
        n_steps += 1
        now_s = read_clock()
        if now_s + (now_s - last_s) > begin_s + budget_s:
            return n_steps
        last_s = now_s


def _make_encoder(n_neurons: int) -> CompactEncoder:
    """Return a compact encoder with random weights."""
    generator = torch.Generator().manual_seed(0)
    n_coefficients = len(load_checkpoint(find_checkpoint("demo")).prior.mean)
    encoder = CompactEncoder(n_coefficients, n_neurons).requires_grad_(False)
    encoder.spatial_filters.normal_(0, n_coefficients**-0.5, generator=generator)
    encoder.temporal_weights.normal_(generator=generator)
    positions = np.random.default_rng(0).uniform(0, IMAGE_SHAPE, (n_neurons, 2))
    encoder.set_normalization_pool(positions)
    return encoder
