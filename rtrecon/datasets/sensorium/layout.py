"""The files of a Sensorium 2023 folder, for the reader and the writer.

One mouse is one folder, with one file per trial and kind of data. Time is the last
axis: `data/videos/7.npy` is (36, 64, F), `data/responses/7.npy` is (N, F), and so on. F
is the number of frames of the longest trial; shorter trials end in NaN, except in
`behavior`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rtrecon.stimulus_space.video import VIDEO

DataKind = Literal["videos", "responses", "behavior", "pupil_center"]
Statistic = Literal["min", "max", "mean", "median", "std"]

DATA_KINDS: tuple[DataKind, ...] = ("videos", "responses", "behavior", "pupil_center")
STATISTICS: tuple[Statistic, ...] = ("min", "max", "mean", "median", "std")

TIERS = (
    "train",
    "oracle",
    "live_test_main",
    "live_test_bonus",
    "final_test_main",
    "final_test_bonus",
    "none",
)
LABELLED_TIERS = ("train", "oracle")  # every copy of the data has their responses

MOVIE_SHAPE = VIDEO.shape  # height, width of the videos in px
RATE_HZ = 30.0
RESPONSE_UNITS = "responses of a Sensorium recording"  # unit of the activity

TIERS_FILE = Path("meta/trials/tiers.npy")
TRIAL_IDS_FILE = Path("meta/trials/trial_idx.npy")
UNIT_IDS_FILE = Path("meta/neurons/unit_ids.npy")
COORDINATES_FILE = Path("meta/neurons/cell_motor_coordinates.npy")


def get_trial_path(kind: DataKind, index: int) -> Path:
    """Return the path of a trial's data of one kind, within the folder."""
    return Path("data") / kind / f"{index}.npy"


def get_statistics_path(kind: DataKind, statistic: Statistic) -> Path:
    """Return the path of a statistic over trials of one kind of data."""
    return Path("meta/statistics") / kind / "all" / f"{statistic}.npy"
