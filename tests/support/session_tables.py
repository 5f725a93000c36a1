"""A recorded session in which every value of frame i follows from i.

As a program, this module records such a session in real time and prints the number of
each frame before it, until it is killed; with --full-disk, until the disk is full.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np

from rtrecon.protocol import messages
from rtrecon.session.about import About
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow, FrameRow

N_ROI, N_NEURON, WINDOW, HOP = 5, 3, 12, 6
IMAGE = (36, 64)
RATE_HZ = 30.0


def make_about(**changes: object) -> About:
    defaults = {
        "session": "0f1e2d3c-aaaa-bbbb",
        "roi_ids": list(range(N_ROI)),
        "neuron_ids": list(range(N_NEURON)),
        "rate_hz": RATE_HZ,
        "hop_frames": HOP,
        "window_frames": WINDOW,
        "settings": {"timing": {"encoder_rate_hz": 30.0}},
    }
    return About(**{**defaults, **changes})


def make_frame_row(i: int) -> FrameRow:
    return FrameRow(i, 2 * i, i / 30, 100.0, 100.1, 0.5 * i, -i, 0.9, i % 2 == 0, 3.0)


def make_traces(
    i: int, n_roi: int = N_ROI
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cell = np.full(n_roi, i, np.float32)
    return cell, cell / 2, -cell


def make_stimulus(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, IMAGE).astype(np.uint8)


def make_movie_message(
    i: int, n_frames: int = WINDOW, **changes: object
) -> messages.Movie:
    defaults = {
        "session": "s",
        "seq": 0,
        "t": 101.0,
        "encoder_frame": i,
        "n_final": min(HOP, n_frames),
        "lag_s": 0.2,
        "shape": (n_frames, *IMAGE),
        "n_steps": 4,
        "t_frame": 100.5,
    }
    return messages.Movie(**{**defaults, **changes})


def make_health(process: str = "daemon", **fields: object) -> messages.Health:
    fields.setdefault("state", "running")
    return messages.Health(session="s", seq=0, t=0.0, process=process, **fields)


def make_event(name: str) -> messages.Event:
    return messages.Event(session="s", seq=0, t=0.0, name=name)


def record_frame(recorder: Recorder, i: int) -> None:
    """Record frame i and everything that belongs to it."""
    recorder.add_frame(make_frame_row(i), make_traces(i))
    recorder.add_activity(ActivityRow(i, i), np.full(N_NEURON, i))
    recorder.add_stimulus(i, make_stimulus(i))
    if i % HOP == HOP - 1:
        recorder.add_movie(
            make_movie_message(i), np.full((WINDOW, *IMAGE), i % 256, np.uint8)
        )
    recorder.add_event(make_event(f"frame {i}"))


def record_until_full(recorder: Recorder) -> None:
    """Record on a disk that takes no file larger than a movie chunk; print results."""
    import resource

    while not (recorder.path / "about.json").exists():
        time.sleep(0.01)
    limit = 3 * WINDOW * IMAGE[0] * IMAGE[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for i in count():
        recorder.add_event(make_event("x" * 2000))
        record_frame(recorder, i)
        time.sleep(0.005)
        if recorder.failure:
            break
    record_frame(recorder, i + 1)
    recorder.close()
    result = {"failure": recorder.failure, "lost": recorder.n_lost, "frames": i}
    print(json.dumps(result))


def main() -> None:
    recorder = Recorder(Path(sys.argv[1]), make_about(chunk_s=float(sys.argv[2])))
    if "--full-disk" in sys.argv:
        record_until_full(recorder)
        return
    started = time.monotonic()
    for i in count():
        time.sleep(max(0.0, started + i / RATE_HZ - time.monotonic()))
        print(i, flush=True)
        record_frame(recorder, i)


if __name__ == "__main__":
    main()
