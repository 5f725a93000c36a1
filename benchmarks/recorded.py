"""What a session costs on disk, and what others say of it as NWB.

    python benchmarks/recorded.py [--seconds 45]

A simulated session of a thousand neurons, movie, stimulus and behaviour included.
Fewer images than neurons would pass for data that lie the wrong way round, so no less
than 40 seconds are simulated.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from nwbinspector import Importance, inspect_nwbfile
from rich import print as show

from rtrecon.demo import demo
from rtrecon.export import Plan, export_nwb
from rtrecon.session.session import Session, sessions

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
    show(measure(parser.parse_args().seconds))


def measure(seconds: float = SECONDS) -> dict[str, float]:
    """Return `mb_per_minute` on disk and `nwb_critical` messages of its NWB.

    In a process of its own, for a demo's microscope gives way for good.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as aside:
        return aside.submit(_measure, seconds).result()


def _measure(seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        plan = demo.Plan(seconds=seconds, headless=True, out=Path(scratch))
        demo.run(plan, show, lambda done, total: None)
        (folder,) = sessions(Path(scratch) / "session")
        return {
            "mb_per_minute": mb_per_minute(folder),
            "nwb_critical": nwb_critical(folder, Path(scratch) / "session.nwb"),
        }


def mb_per_minute(folder: Path) -> float:
    """Return how fast a session grows; what is written once does not count."""
    session = Session(folder)
    growing = [*(folder / "arrays.zarr").rglob("*"), *folder.glob("*.jsonl")]
    size_mb = sum(file.stat().st_size for file in growing if file.is_file()) / 1e6
    lasted_s = len(session.frames) / session.about.rate_hz
    return round(60 * size_mb / lasted_s, 1)


def nwb_critical(folder: Path, out: Path) -> int:
    """Return how many severe complaints a session's NWB meets with; pynwb's count."""
    export_nwb(Plan(folder, out, subject=SUBJECT), lambda *stage: None)
    told = [message for message in inspect_nwbfile(nwbfile_path=str(out)) if message]
    severe = [message for message in told if message.importance in SEVERE]
    for message in severe:
        show(f"{message.object_name}: {message.message}")
    return len(severe)


if __name__ == "__main__":
    main()
