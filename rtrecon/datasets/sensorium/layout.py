"""Where a Sensorium 2023 folder keeps what; for reader and writer alike.

One mouse is one folder, one file per trial and kind, time along the last axis:
`data/videos/7.npy` is (36, 64, F), `data/responses/7.npy` (N, F), and so on. F is the
longest trial's number of frames; shorter trials end in NaN, except in `behavior`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["videos", "responses", "behavior", "pupil_center"]
Moment = Literal["min", "max", "mean", "median", "std"]

KINDS: tuple[Kind, ...] = ("videos", "responses", "behavior", "pupil_center")
MOMENTS: tuple[Moment, ...] = ("min", "max", "mean", "median", "std")

TIERS = (
    "train",
    "oracle",
    "live_test_main",
    "live_test_bonus",
    "final_test_main",
    "final_test_bonus",
    "none",
)
LABELLED = ("train", "oracle")  # tiers whose responses every copy of the data has

SHAPE = (36, 64)  # height, width of the videos in px
RATE_HZ = 30.0
UNITS = "responses of a Sensorium recording"  # what activity is measured in

TIERS_FILE = Path("meta/trials/tiers.npy")
TRIAL_IDS_FILE = Path("meta/trials/trial_idx.npy")
UNIT_IDS_FILE = Path("meta/neurons/unit_ids.npy")
COORDINATES_FILE = Path("meta/neurons/cell_motor_coordinates.npy")


def trial_file(kind: Kind, index: int) -> Path:
    """Return where a trial's videos, responses, behaviour or pupil centre lie."""
    return Path("data") / kind / f"{index}.npy"


def statistics_file(kind: Kind, moment: Moment) -> Path:
    """Return where what is usual at each frame of a trial lies."""
    return Path("meta/statistics") / kind / "all" / f"{moment}.npy"
