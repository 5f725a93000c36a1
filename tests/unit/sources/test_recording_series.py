"""Several files as one recording: parts of an acquisition, files of a LOOP."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.sources import RecordingError, open_recording
from rtrecon.sources.scanimage_tiff import ScanImageTiff
from rtrecon.sources.series_names import find_series_files, list_next_paths
from rtrecon.testing.scanimage_file import make_pages, write_scanimage

VOLUMES = {
    "SI.hFastZ.enable": "true",
    "SI.hStackManager.numSlices": "2",
    "SI.hStackManager.numFramesPerVolumeWithFlyback": "3",
}


def write_series(folder, names, numbers=None, settings=None):
    """Write two pages into each file; numbers: of the pages of each."""
    pixels = make_pages(2 * len(names))
    numbers = numbers or [(2 * k + 1, 2 * k + 2) for k in range(len(names))]
    for k, name in enumerate(names):
        stamps = [(number, number / 30) for number in numbers[k]]
        of_file = pixels[2 * k : 2 * k + 2]
        write_scanimage(folder / name, of_file, stamps, settings)
    return pixels


LOOP = ["m_00009.tif", "m_00010.tif", "m_00011.tif"]
PARTS = ["m_00001_00001.tif", "m_00001_00002.tif", "m_00002_00001.tif"]


@pytest.mark.parametrize("names", [LOOP, PARTS])
@pytest.mark.parametrize("by", ["", "m_*.tif"])
def test_a_series_is_one_recording(tmp_path, names, by):
    pixels = write_series(tmp_path, names)
    with open_recording(tmp_path / by) as recording:
        frames = list(recording.frames())
        assert recording.n_frames == 6
        assert recording.name == f"{names[0]} and 2 more"
        again = list(recording.frames())
    assert [frame.number for frame in frames] == list(range(1, 7))
    assert np.array_equal([frame.pixels for frame in frames], pixels)
    assert [frame.number for frame in again] == list(range(1, 7))


def test_files_that_count_from_1_are_renumbered(tmp_path):
    write_series(tmp_path, LOOP, [(5, 6), (1, 2), (1, 4)])
    with open_recording(tmp_path) as recording:
        frames = list(recording.frames())
        period_s = 1 / recording.rate_hz
    assert [frame.number for frame in frames] == [5, 6, 7, 8, 9, 12]
    steps = np.diff([frame.t_s for frame in frames])
    assert steps == pytest.approx([period_s] * 4 + [3 / 30])


def test_a_volume_continues_in_the_next_file(tmp_path):
    # Two planes and a flyback image; the second file begins with the flyback image.
    text = "frameNumberAcquisition = {}\n"
    pixels = make_pages(6)
    numbers = [(1, 2), (3, 4), (5, 6)]
    for k, name in enumerate([*PARTS[:2], "m_00001_00003.tif"]):
        stamps = [
            (f"{number}\n{text.format(number)}#", number / 30) for number in numbers[k]
        ]
        write_scanimage(tmp_path / name, pixels[2 * k : 2 * k + 2], stamps, VOLUMES)
    with open_recording(tmp_path) as recording:
        frames = list(recording.frames())
        assert recording.n_frames == 4
    assert [(f.number, f.plane) for f in frames] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert np.array_equal([f.pixels for f in frames], pixels[[0, 1, 3, 4]])


def test_a_truncated_file_of_a_series_has_a_notice(tmp_path):
    write_series(tmp_path, LOOP)
    path = tmp_path / LOOP[1]
    path.write_bytes(path.read_bytes()[:-1])
    with open_recording(tmp_path) as recording:
        assert [frame.number for frame in recording.frames()] == [1, 2, 3, 5, 6]
        assert "m_00010.tif is truncated" in recording.notice


def test_two_series_in_a_folder_are_refused(tmp_path):
    write_series(tmp_path, [*LOOP, "other_00001.tif"])
    with pytest.raises(RecordingError, match=r"2 recordings: m, other; .* 'm_\*.tif'"):
        open_recording(tmp_path)
    assert [f.path.name for f in find_series_files(tmp_path, "m*.tif")] == LOOP
    with pytest.raises(RecordingError, match=r"no file x\*.tif is in"):
        open_recording(tmp_path / "x*.tif")


def test_a_file_of_another_image_size_is_refused(tmp_path):
    write_series(tmp_path, LOOP)
    write_scanimage(tmp_path / LOOP[2], make_pages(2, (4, 4)))
    with pytest.raises(
        RecordingError, match=r"00011.tif holds int16 4 x 4 .* int16 12"
    ):
        open_recording(tmp_path)


def test_a_single_file_in_a_folder_is_opened_by_itself(tmp_path):
    write_series(tmp_path, LOOP[:1])
    with open_recording(tmp_path) as recording:
        assert isinstance(recording, ScanImageTiff)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m_00009.tif", ["m_00010.tif"]),
        ("m_00001_00009.tif", ["m_00001_00010.tif", "m_00002_00001.tif"]),
        ("day_3_00001_00001.tif", ["day_3_00001_00002.tif", "day_3_00002_00001.tif"]),
        ("movie.tif", []),
    ],
)
def test_possible_names_of_the_next_file(tmp_path, name, expected):
    assert [path.name for path in list_next_paths(tmp_path / name)] == expected
