"""A session whose every number is known: frame i has i in everything.

Run as a program it records such a session in real time until it is killed, and says
before each frame which one comes; or until its disk is full.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np

from rtrecon.protocol import messages
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import About, ActivityRow, FrameRow

N_ROI, N_NEURON, WINDOW, HOP = 5, 3, 12, 6
IMAGE = (36, 64)
RATE_HZ = 30.0


def about(**changes: object) -> About:
    known = {
        "session": "0f1e2d3c-aaaa-bbbb",
        "roi_ids": list(range(N_ROI)),
        "neuron_ids": list(range(N_NEURON)),
        "rate_hz": RATE_HZ,
        "hop_frames": HOP,
        "window_frames": WINDOW,
        "settings": {"align": {"rate_hz": 30.0}},
    }
    return About(**{**known, **changes})


def frame_row(i: int) -> FrameRow:
    return FrameRow(i, 2 * i, i / 30, 100.0, 100.1, 0.5 * i, -i, 0.9, i % 2 == 0, 3.0)


def traces(i: int, n_roi: int = N_ROI) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cell = np.full(n_roi, i, np.float32)
    return cell, cell / 2, -cell


def stimulus(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, IMAGE).astype(np.uint8)


def movie(i: int, n_frames: int = WINDOW, **changes: object) -> messages.Movie:
    known = {
        "session": "s",
        "seq": 0,
        "t": 101.0,
        "index": i,
        "final": min(HOP, n_frames),
        "lag": 0.2,
        "shape": (n_frames, *IMAGE),
        "steps": 4,
        "t_frame": 100.5,
    }
    return messages.Movie(**{**known, **changes})


def health(station: str = "front", **fields: object) -> messages.Health:
    fields.setdefault("state", "running")
    return messages.Health(session="s", seq=0, t=0.0, station=station, **fields)


def event(name: str) -> messages.Event:
    return messages.Event(session="s", seq=0, t=0.0, name=name)


def record(recorder: Recorder, i: int) -> None:
    """Give frame i and everything that comes with it."""
    recorder.frame(frame_row(i), traces(i))
    recorder.activity(ActivityRow(i, i), np.full(N_NEURON, i))
    recorder.stimulus(i, stimulus(i))
    if i % HOP == HOP - 1:
        recorder.movie(movie(i), np.full((WINDOW, *IMAGE), i % 256, np.uint8))
    recorder.event(event(f"frame {i}"))


def until_full(recorder: Recorder) -> None:
    """Record on a disk that takes no file larger than a movie chunk, and say how."""
    import resource

    while not (recorder.path / "about.json").exists():
        time.sleep(0.01)
    limit = 3 * WINDOW * IMAGE[0] * IMAGE[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for i in count():
        recorder.event(event("x" * 2000))
        record(recorder, i)
        time.sleep(0.005)
        if recorder.failure:
            break
    record(recorder, i + 1)
    recorder.close()
    told = {"failure": recorder.failure, "lost": recorder.lost, "frames": i}
    print(json.dumps(told))


def main() -> None:
    recorder = Recorder(Path(sys.argv[1]), about(chunk_s=float(sys.argv[2])))
    if "--full-disk" in sys.argv:
        until_full(recorder)
        return
    started = time.monotonic()
    for i in count():
        time.sleep(max(0.0, started + i / RATE_HZ - time.monotonic()))
        print(i, flush=True)
        record(recorder, i)


if __name__ == "__main__":
    main()
