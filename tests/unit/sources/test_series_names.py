"""Which files of a folder are one recording, in which order, and which are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrecon.sources import RecordingError
from rtrecon.sources.series_names import (
    count_missing_files,
    find_series_files,
    parse_file_name,
)


def make_files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def list_names(folder: Path, pattern: str = "*.tif*", is_explicit: bool = False):
    return [f.path.name for f in find_series_files(folder, pattern, is_explicit)]


# names of one series, in its order
SERIES = {
    "ScanImage": ["m_00001_00001.tif", "m_00001_00002.tif", "m_00002_00001.tif"],
    "a word after the number": ["d_00001_mc.tif", "d_00002_mc.tif", "d_00010_mc.tif"],
    "no leading zeros": ["file_1.tif", "file_2.tif", "file_10.tif"],
    "numbers without a line": ["img0001.tif", "img0002.tif", "img0010.tif"],
    "upper case": ["DAY3_00001.TIF", "DAY3_00002.TIF"],
    "a date in the name": ["2024-03-10_001.tif", "2024-03-10_002.tif"],
    "Micro-Manager": ["r_MMStack_Pos0.ome.tif", "r_MMStack_Pos0_1.ome.tif"],
    "NDTiff": ["r_1_NDTiffStack.tif", "r_1_NDTiffStack_1.tif"],
}


@pytest.mark.parametrize("case", SERIES)
def test_names_that_differ_in_their_counter_are_one_series(tmp_path, case):
    assert list_names(make_files(tmp_path, *SERIES[case])) == SERIES[case]


# names -> the recordings that the error lists, and the example in it
SEVERAL = {
    "two mice": (
        ["mouse12_001.tif", "mouse12_002.tif", "mouse13_001.tif"],
        "mouse12, mouse13; .* 'mouse12_*.tif'",
    ),
    "mice without a counter": (["mouse12.tif", "mouse13.tif"], "mouse12, mouse13"),
    "two days": (
        ["2024-03-10_001.tif", "2024-03-10_002.tif", "2024-03-11_001.tif"],
        "2024-03-10, 2024-03-11; .* '2024-03-10_*.tif'",
    ),
    "days as numbers": (
        ["m_20240310_00001.tif", "m_20240311_00001.tif"],
        "m_20240310, m_20240311",
    ),
    "a copy": (
        ["d_00001.tif", "d_00002.tif", "d_00001 (1).tif"],
        r"d, d_00001 \(1\); .* 'd_0000?.tif'",
    ),
    "an average": (["d_00001.tif", "d_00002.tif", "AVG_d_00001.tif"], "AVG_d, d;"),
    "stage positions": (
        ["r_MMStack_Pos0.ome.tif", "r_MMStack_Pos1.ome.tif"],
        "r_MMStack_Pos0, r_MMStack_Pos1",
    ),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_a_folder_of_several_recordings_is_refused_with_their_names(tmp_path, case):
    names, words = SEVERAL[case]
    escaped = words.replace("*.tif", r"\*.tif").replace("?.tif", r"\?.tif")
    with pytest.raises(RecordingError, match=f"recordings: {escaped}"):
        list_names(make_files(tmp_path, *names))


@pytest.mark.parametrize("case", SEVERAL)
def test_all_files_of_an_explicit_pattern_are_one_recording(tmp_path, case):
    names = SEVERAL[case][0]
    make_files(tmp_path, *names)
    assert sorted(list_names(tmp_path, "*.tif", is_explicit=True)) == sorted(names)


def test_the_example_in_the_error_names_the_files_of_one_recording(tmp_path):
    names, words = SEVERAL["a copy"]
    make_files(tmp_path, *names)
    example = words.split("'")[1]
    assert list_names(tmp_path, example) == ["d_00001.tif", "d_00002.tif"]


def test_an_error_stays_short_in_a_folder_of_many_recordings(tmp_path):
    names = [f"mouse{k}_001.tif" for k in range(10, 200)]
    with pytest.raises(RecordingError) as caught:
        list_names(make_files(tmp_path, *names))
    assert "mouse14 and 185 more" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_hidden_copies_of_macos_are_left_out(tmp_path):
    make_files(tmp_path, "d_00001.tif", "d_00002.tif", "._d_00001.tif", ".DS_Store.tif")
    assert list_names(tmp_path) == ["d_00001.tif", "d_00002.tif"]
    assert list_names(tmp_path, "*d_*.tif", True) == ["d_00001.tif", "d_00002.tif"]


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"no file \*.tif is in"):
        list_names(tmp_path, "*.tif")
    with pytest.raises(RecordingError, match=r"no file \*.tif is in"):
        list_names(tmp_path / "nothing", "*.tif")


@pytest.mark.parametrize(
    ("names", "n_missing"),
    [
        (["d_1.tif", "d_2.tif", "d_4.tif"], [0, 0, 1]),
        (["d_00001_00001.tif", "d_00001_00003.tif", "d_00001_00004.tif"], [0, 1, 0]),
        (["d_00001_00002.tif", "d_00002_00001.tif"], [0, 0]),
        (["d_093000.tif", "d_094512.tif"], [0, 0]),  # the time of day
    ],
)
def test_missing_files_are_counted(names, n_missing):
    assert count_missing_files([parse_file_name(Path(n)) for n in names]) == n_missing
