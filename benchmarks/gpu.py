"""How many steps of the live inversion fit into a hop: published and compact encoders.

    python benchmarks/gpu.py [--quick] [--hops 20]

The published encoder has its full size and random weights, because only time is
measured. On a GPU, writes `benchmarks/results/gpu.json` (`gpu.quick.json` with --quick
or fewer hops). Without a GPU the CPU is measured, with one model and a few steps, and
nothing is written.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import psutil
import torch
from result_files import describe_machine, write_results
from rich import print as show
from rich.progress import track
from rich.table import Table

from rtrecon.core.errors import UserError
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.dwiseneuro.author_files import MouseModel
from rtrecon.encoder.dwiseneuro.inference import WINDOW_SPAN_FRAMES, DwiseNeuroEncoder
from rtrecon.encoder.dwiseneuro.live import LiveDwiseNeuro, RecordingFit
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.encoder.dwiseneuro.network import Architecture, DwiseNeuro
from rtrecon.inversion import device as devices
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.objective import InverseProblem
from rtrecon.stimulus_space.video import IMAGE_SHAPE

HOP_FRAMES, WINDOW_FRAMES, RATE_HZ = 6, 36, 30.0
HOP_S = HOP_FRAMES / RATE_HZ
BUDGET = 0.8  # share of a hop that steps may fill, as in the settings
WARM_HOPS, FULL_HOPS = 2, 20
N_NEURONS = 7500  # about those of a published mouse
MEAN_BEHAVIOR = (40.0, 1.0, 150.0, 150.0)
WHOLE = Architecture()
NARROW = Architecture(
    core_features=(4, 8),
    spatial_strides=(4, 4),
    expansion_ratio=1,
    se_reduce_ratio=2,
    cortex_features=(16, 32),
)


@dataclass(frozen=True)
class Case:
    """The encoder that is inverted.

    models: number of models of the published encoder; 0 means the compact encoder.
    """

    models: int
    n_neurons: int
    precision: str = "float32"
    sizes: Architecture = WHOLE

    def __str__(self) -> str:
        kind = f"published, {self.models} models" if self.models else "compact"
        return f"{kind}, {self.n_neurons} neurons, {self.precision}"

    def make_encoder(self, device: torch.device) -> LiveEncoder:
        """Return the encoder, with random weights."""
        if not self.models:
            return _make_compact(self.n_neurons).to(device)
        live = _make_dwiseneuro(self).to(device)
        live.dwiseneuro.dtype = getattr(torch, self.precision)
        return live


def main() -> None:
    arguments = _parse_arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(psutil.cpu_count(logical=False) or 1)
        show("torch finds no GPU: this measures the CPU")
    devices.configure_torch(repeatable=False)
    cases = list(_list_cases(device.type == "cuda", arguments.quick))
    figures = {}
    for case in track(cases):
        slow = device.type == "cpu" and case.models and not arguments.quick
        figures[str(case)] = _measure_case(case, device, 1 if slow else arguments.hops)
    show(_make_table(figures))
    if device.type == "cuda":
        results = {
            "machine": describe_machine(),
            "gpu": torch.cuda.get_device_name(device),
            "cases": figures,
        }
        is_quick = arguments.quick or arguments.hops < FULL_HOPS
        path = write_results("gpu", results, quick=is_quick)
        show(f"written to {path}")


def _list_cases(on_gpu: bool, quick: bool) -> Iterator[Case]:
    n, sizes = (200, NARROW) if quick else (N_NEURONS, WHOLE)
    precisions = ("float32", "bfloat16") if on_gpu else ("float32",)
    for models in (1, 7) if on_gpu or quick else (1,):
        yield from (Case(models, n, precision, sizes) for precision in precisions)
    yield from (Case(0, compact) for compact in ((200,) if quick else (1000, 8000)))


def _measure_case(case: Case, device: torch.device, hops: int) -> dict[str, Any]:
    """Return figures of a case, or a notice if it does not fit into memory."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(UserError):
        encoder = case.make_encoder(device)
        return {**_measure_hops(encoder, hops), "memory_mb": _memory_mb(device)}
    return {"notes": ["the device has too little memory for it"]}


def _measure_hops(encoder: LiveEncoder, hops: int) -> dict[str, Any]:
    n = encoder.n_neurons
    problem = InverseProblem(
        encoder, load_checkpoint(find_checkpoint("demo")).prior, torch.ones(n)
    )
    inverter = MapInversion(problem, WINDOW_FRAMES)
    draw = partial(torch.rand, generator=torch.Generator().manual_seed(0))
    inverter.push_activity(draw(WINDOW_FRAMES, n), torch.zeros(WINDOW_FRAMES, 4))
    step_ms, steps = [], []
    warm_hops = WARM_HOPS if hops > 1 else 0
    for hop in range(warm_hops + hops):
        took_ms = _run_hop(inverter, (draw(HOP_FRAMES, n), torch.zeros(HOP_FRAMES, 4)))
        if hop >= warm_hops:
            step_ms += took_ms
            steps.append(len(took_ms))
    p50, p99 = np.percentile(step_ms, (50, 99))
    return {
        "steps_per_hop": float(np.median(steps)),
        "step_ms_p50": round(float(p50), 3),
        "step_ms_p99": round(float(p99), 3),
        "steps": len(step_ms),
        "notes": inverter.notices,
    }


def _run_hop(
    inverter: MapInversion, new: tuple[torch.Tensor, torch.Tensor]
) -> list[float]:
    """Push new activity, step until the time budget is used; return ms of each step."""
    started_s = time.perf_counter()
    inverter.push_activity(*new)
    ends: list[float] = [time.perf_counter()]
    while True:
        inverter.step(0.5)
        inverter.synchronize()
        ends.append(time.perf_counter())
        if ends[-1] + (ends[-1] - ends[-2]) > started_s + BUDGET * HOP_S:
            return (1e3 * np.diff(ends)).tolist()


def _memory_mb(device: torch.device) -> float:
    """Return the most of the GPU's memory; on a CPU what the process holds now."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    return round(psutil.Process().memory_info().rss / 2**20, 1)


def _make_dwiseneuro(case: Case) -> LiveDwiseNeuro:
    mouse = Mouse(0, case.n_neurons, "", MEAN_BEHAVIOR)
    indices = torch.arange(case.n_neurons)
    models = []
    for seed in range(case.models):
        torch.manual_seed(seed)
        weights = DwiseNeuro(case.sizes, {0: case.n_neurons}).state_dict()
        models.append(MouseModel(case.sizes, mouse, weights, indices, "random", ""))
    ones = torch.ones(case.n_neurons)
    fit = RecordingFit(
        torch.tensor(MEAN_BEHAVIOR),
        torch.ones(4),
        ones,
        ones,
        torch.ones(WINDOW_SPAN_FRAMES) / WINDOW_SPAN_FRAMES,
    )
    return LiveDwiseNeuro(DwiseNeuroEncoder(models), fit)


def _make_compact(n_neurons: int) -> CompactEncoder:
    torch.manual_seed(0)
    n_coef = len(load_checkpoint(find_checkpoint("demo")).prior.mean)
    encoder = CompactEncoder(n_coef, n_neurons).requires_grad_(False)
    encoder.spatial_filters.normal_(0, n_coef**-0.5)
    encoder.temporal_weights.normal_()
    encoder.set_normalization_pool(
        np.random.default_rng(0).uniform(0, IMAGE_SHAPE, (n_neurons, 2))
    )
    return encoder


def _make_table(figures_by_case: dict[str, dict[str, Any]]) -> Table:
    columns = ("steps_per_hop", "step_ms_p50", "step_ms_p99", "memory_mb")
    table = Table(f"encoder; hop of {1e3 * HOP_S:.0f} ms", *columns, box=None)
    for name, figures in figures_by_case.items():
        table.add_row(name, *(str(figures.get(column, "-")) for column in columns))
    return table


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to try it")
    parser.add_argument("--hops", type=int, default=FULL_HOPS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
