"""How long a user waits for each command, and how much time of a core it takes.

    python benchmarks/speed.py [--parts NAME ...] [--quick]

Each command runs as a user types it, in a process of its own. `train` is given spike
counts, so that its time is that of the fit and the calibration alone. Writes
`benchmarks/results/speed.json`, each part as soon as it is measured; with --quick, less
of everything in `speed.quick.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import closed_loop
import numpy as np
import tifffile
from result_files import describe_machine, update_results
from rich import print as show
from rich.progress import Progress
from subject_sessions import SessionPlan, SubjectSession

from rtrecon.simulate.imaged_mouse import ImagedMouseOptions, make_imaged_mouse
from rtrecon.simulate.movie import make_natural_movie
from rtrecon.simulate.session import simulate_session
from rtrecon.simulate.subjects.subject import SubjectOptions

Figures = dict[str, float]
_SEED = 40_000  # of movies and noise; no training uses it


@dataclass(frozen=True)
class Workload:
    """How much of each is measured."""

    rois_frames: int = 3000
    neurons: int = 1000
    minutes: float = 20.0
    epochs: int = 12
    demo_s: int = 60
    rules_s: float = 60.0


FULL = Workload()
QUICK = Workload(
    rois_frames=300, neurons=100, minutes=2.0, epochs=2, demo_s=20, rules_s=10.0
)


@dataclass(frozen=True)
class CommandTime:
    """Time until a command has ended, and what it and its children took of a core."""

    wall_s: float
    cpu_s: float

    def to_figures(self, name: str) -> Figures:
        """Return the values by key."""
        return {f"{name}_s": self.wall_s, f"{name}_cpu_s": self.cpu_s}


def main() -> None:
    """Measure the parts, print and write their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    workload = QUICK if arguments.quick else FULL
    for name in arguments.parts:
        with tempfile.TemporaryDirectory() as folder:
            figures = PARTS[name](workload, Path(folder))
        show(name, figures)
        figures |= {"machine": describe_machine()}  # type: ignore[dict-item]
        update_results("speed", figures, quick=arguments.quick)


def run_command(*arguments: object) -> CommandTime:
    """Run `rtrecon` with these arguments; raises CalledProcessError if it fails."""
    command = [sys.executable, "-m", "rtrecon", *map(str, arguments)]
    start_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - start_s
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return CommandTime(wall_s, usage.ru_utime + usage.ru_stime)


def measure_help(_: Workload, __: Path) -> Figures:
    """Time the shortest command; the median of five."""
    times = [run_command("--help") for _ in range(5)]
    return {"help_s": float(np.median([each.wall_s for each in times]))}


def measure_rois(workload: Workload, folder: Path) -> Figures:
    """Find the neurons of a simulated recording of 512 x 512 pixels."""
    recording, n_neurons = folder / "recording.tif", 300
    _write_recording(recording, n_neurons, workload.rois_frames)
    out = folder / "rois.json"
    figures = run_command("rois", recording, "--out", out).to_figures("rois")
    found = len(json.loads(out.read_text(encoding="utf-8")))
    return {
        **figures,
        "rois_frames": workload.rois_frames,
        "rois_neurons": n_neurons,
        "rois_found": found,
    }


def measure_training(workload: Workload, folder: Path) -> Figures:
    """Train an encoder on spike counts of simulated neurons, calibration included."""
    plan = SessionPlan("simulated", workload.neurons, workload.minutes, workload.epochs)
    with Progress(disable=True) as progress:
        session = SubjectSession(plan, folder, progress)
        session.training  # noqa: B018  simulates it
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        encoder = session.load_encoder("compact")
    return {
        "train_s": time.perf_counter() - start_s,
        "train_cpu_s": time.process_time() - start_cpu_s,
        "train_validation_r": encoder.card.metadata["validation_r"],
        "train_neurons": workload.neurons,
        "train_minutes": workload.minutes,
    }


def measure_demo(workload: Workload, folder: Path) -> Figures:
    """Run the demo twice, then analyse its session.

    The second run finds compiled kernels.
    """
    for out in (folder / "first", folder / "demo"):
        run_command("demo", "--headless", "--seconds", workload.demo_s, "--out", out)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    session = next(path.parent for path in out.rglob("about.json"))
    stored_mb = sum(file.stat().st_size for file in session.rglob("*")) / 1e6
    report = run_command("report", session, "--out", folder / "report.html")
    export = run_command("export", session, "--nwb", folder / "session.nwb")
    return {
        "demo_first_movie_s": summary["first_movie_s"],
        "mb_per_minute": stored_mb / workload.demo_s * 60,
        "session_s": workload.demo_s,
        **report.to_figures("report"),
        **export.to_figures("export"),
    }


def measure_rules(workload: Workload, _: Path) -> Figures:
    """Measure the time from a frame to the event of a rule."""
    latency = closed_loop.measure(workload.rules_s)
    return {f"react_ms_{key}": latency[f"event_latency_ms_{key}"] for key in _RANKS}


def measure_evaluation(_: Workload, folder: Path) -> Figures:
    """Evaluate the demo encoder on a simulated session, with controls."""
    command = "evaluate", "--simulate", "--encoder", "demo", "--out", folder / "scores"
    return run_command(*command).to_figures("evaluate")


_RANKS = "p50", "p99", "max"
PARTS: dict[str, Callable[[Workload, Path], Figures]] = {
    "help": measure_help,
    "rois": measure_rois,
    "demo": measure_demo,
    "rules": measure_rules,
    "train": measure_training,
    "evaluate": measure_evaluation,
}


def _write_recording(path: Path, n_neurons: int, n_frames: int) -> None:
    subject = SubjectOptions(n_neurons=n_neurons)
    mouse = make_imaged_mouse(ImagedMouseOptions(subject))
    movie = make_natural_movie(n_frames, _SEED)
    session = simulate_session(mouse, movie, "speed", _SEED)
    pixels = np.empty(mouse.field.tissue.shape, np.int16)
    with tifffile.TiffWriter(path) as file:
        for index in range(len(session)):
            session.recording.render_frame(index, pixels)
            file.write(pixels, contiguous=True, photometric="minisblack")


if __name__ == "__main__":
    main()
