"""Size of a recorded session on disk, and severe messages about its NWB export.

    python benchmarks/recorded_session.py [--seconds 45]

Simulates a session of a thousand neurons, with movie, stimulus and behaviour. At least
40 seconds are needed: NWB inspector takes an array with fewer images than neurons
for a transposed one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from nwbinspector import Importance, inspect_nwbfile
from rich import print as show

from rtrecon.demo.run import DemoRequest, run_demo
from rtrecon.export.nwb_export import ExportRequest, export_nwb
from rtrecon.session.session import Session, list_sessions

SECONDS = 45.0
SEVERE = (Importance.ERROR, Importance.PYNWB_VALIDATION, Importance.CRITICAL)
SUBJECT = {
    "subject_id": "simulated",
    "species": "Mus musculus",
    "sex": "U",
    "age": "P90D",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    show(measure_session(parser.parse_args().seconds))


def measure_session(seconds: float = SECONDS) -> dict[str, float]:
    """Return `mb_per_minute` on disk and `nwb_critical` messages of its NWB.

    Runs in a separate process, because the demo lowers the priority of its process.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_simulate_and_measure, seconds).result()


def _simulate_and_measure(seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        request = DemoRequest(
            seconds=seconds, headless=True, output_folder=Path(scratch)
        )
        run_demo(request, show, lambda done, total: None)
        (folder,) = list_sessions(Path(scratch) / "session")
        return {
            "mb_per_minute": compute_mb_per_minute(folder),
            "nwb_critical": count_severe_messages(
                folder, Path(scratch) / "session.nwb"
            ),
        }


def compute_mb_per_minute(folder: Path) -> float:
    """Return how fast a session grows; what is written once does not count."""
    session = Session(folder)
    growing = [*(folder / "arrays.zarr").rglob("*"), *folder.glob("*.jsonl")]
    size_mb = sum(file.stat().st_size for file in growing if file.is_file()) / 1e6
    duration_s = len(session.frames) / session.about.rate_hz
    return round(60 * size_mb / duration_s, 1)


def count_severe_messages(folder: Path, out: Path) -> int:
    """Return how many severe messages nwbinspector and pynwb have about an export."""
    export_nwb(ExportRequest(folder, out, subject=SUBJECT), lambda *stage: None)
    found = [message for message in inspect_nwbfile(nwbfile_path=str(out)) if message]
    severe = [message for message in found if message.importance in SEVERE]
    for message in severe:
        show(f"{message.object_name}: {message.message}")
    return len(severe)


if __name__ == "__main__":
    main()
