"""A file that is one of several of a recording is read alone, and this is reported."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from rtrecon.sources import RecordingHints, open_recording

HINTS = RecordingHints(rate_hz=30.0)


def write(folder, *names: str) -> None:
    for name in names:
        images = np.zeros((2, 8, 8), np.uint16)
        tifffile.imwrite(folder / name, images, photometric="minisblack")


def read_notice(path) -> str:
    with open_recording(path, HINTS) as recording:
        return recording.notice


@pytest.mark.parametrize(
    "names",
    [
        ("day3_00001.tif", "day3_00002.tif"),
        ("file_1.tif", "file_2.tif", "file_10.tif", "._file_3.tif", "other_1.tif"),
        ("run_MMStack_Pos0.ome.tif", "run_MMStack_Pos0_1.ome.tif"),
    ],
)
def test_a_file_with_others_of_its_series_is_reported(tmp_path, names):
    write(tmp_path, *(name for name in names if not name.startswith(".")))
    n_files = sum(name.startswith(names[0].split("_")[0]) for name in names)
    notice = read_notice(tmp_path / names[0])
    assert f"only {names[0]} is read, one of {n_files} files" in notice


@pytest.mark.parametrize("other", ["day4_00001.tif", "AVG_day3_00001.tif", "a.tif"])
def test_a_file_of_another_name_is_no_part_of_the_recording(tmp_path, other):
    write(tmp_path, "day3_00001.tif", other)
    assert "one of" not in read_notice(tmp_path / "day3_00001.tif")


def test_the_files_of_a_folder_do_not_report_each_other(tmp_path):
    write(tmp_path, "day3_00001.tif", "day3_00002.tif")
    assert "one of" not in read_notice(tmp_path)
