"""ScanImage TIFF files: frames, channels, volumes, truncated and wrong files."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import tifffile

from rtrecon.sources import open_recording, scanimage_header
from rtrecon.sources.recording import RecordingError
from rtrecon.sources.scanimage_tiff import ScanImageTiff
from rtrecon.testing.scanimage_file import make_pages, write_scanimage
from tests.support.paths import TEST_DATA

DATA = TEST_DATA
REAL = DATA / "scanimage" / "replay_real_pixels_synthetic_SI_header.tif"
OLD = DATA / "scanimage" / "scanimage38_30x64x64.tif"
HEADERS = DATA / "scanimage" / "scanimage2021_headers.json.gz"

needs = {
    path: pytest.mark.skipif(not path.exists(), reason=f"{path.name} is not here")
    for path in (REAL, OLD, HEADERS)
}

VOLUMES = {
    "SI.hFastZ.enable": "true",
    "SI.hStackManager.numSlices": "3",
    "SI.hStackManager.numFramesPerVolumeWithFlyback": "4",
    "SI.hStackManager.zs": "[10 30 50]",
}

# what is wrong -> settings of the file, words of the error
REFUSED = {
    "a slow stack": (
        {"SI.hStackManager.enable": "true", "SI.hStackManager.numSlices": "31"},
        "slow stack of 31 planes",
    ),
    "fewer images than planes": (
        VOLUMES | {"SI.hStackManager.numFramesPerVolumeWithFlyback": "2"},
        "3 planes in 2 images",
    ),
    "several fields": ({"SI.hRoiManager.mroiEnable": "true"}, "2 scan fields"),
    "channels unreadable": ({"SI.hChannels.channelSave": "'none'"}, "settings lack"),
}


def read(path, channel=None):
    with ScanImageTiff(path, channel) as recording:
        return list(recording.frames())


def test_frames_have_their_recorded_numbers_and_times(tmp_path):
    pixels = make_pages(4)
    stamps = [(7, 0.25), (8, 0.5), (11, 1.25), (12, 1.5)]
    path = write_scanimage(tmp_path / "a.tif", pixels, stamps)
    with ScanImageTiff(path) as recording:
        assert (len(recording), recording.shape) == (4, (12, 16))
        assert recording.dtype == np.int16
        assert recording.rate_hz == pytest.approx(4.0)
        assert recording.notice == ""
        frames = list(recording.frames())
    assert [(f.number, f.t_s) for f in frames] == stamps
    assert np.array_equal([f.pixels for f in frames], pixels)


@pytest.mark.parametrize("saved", ["[2;4]", "[2 4]"])
@pytest.mark.parametrize(("channel", "offset"), [(2, 0), (4, 1)])
def test_one_channel_of_several_is_read(tmp_path, saved, channel, offset):
    pixels = make_pages(6)
    stamps = [(1 + i // 2, (i // 2) / 30) for i in range(6)]
    path = tmp_path / "a.tif"
    write_scanimage(path, pixels, stamps, {"SI.hChannels.channelSave": saved})
    frames = read(path, channel)
    assert [f.number for f in frames] == [1, 2, 3]
    assert np.array_equal([f.pixels for f in frames], pixels[offset::2])


def test_volumes_are_read_plane_by_plane_without_flyback(tmp_path):
    pixels = make_pages(
        2 * 4 * 3 - 6
    )  # two channels; the last volume was cut to one image
    stamps = [(i // 2 + 1, (i // 2) / 40) for i in range(len(pixels))]
    settings = VOLUMES | {"SI.hChannels.channelSave": "[1;2]"}
    path = write_scanimage(tmp_path / "a.tif", pixels, stamps, settings)
    with ScanImageTiff(path) as recording:
        frames = list(recording.frames())
        assert len(recording) == len(frames)
        assert (recording.planes, recording.channels) == ((10.0, 30.0, 50.0), (1, 2))
        assert recording.rate_hz == pytest.approx(10.0)  # of volumes
    found = [(f.number, f.plane, f.channel) for f in frames]
    whole = [(v, p, c) for v in (1, 2) for p in (0, 1, 2) for c in (1, 2)]
    assert found == [*whole, (3, 0, 1), (3, 0, 2)]
    without_flyback = np.delete(pixels, [6, 7, 14, 15], axis=0)
    assert np.array_equal([f.pixels for f in frames], without_flyback)
    assert [f.t_s for f in frames[:6:2]] == pytest.approx([0, 1 / 40, 2 / 40])


def test_a_channel_that_was_not_saved_is_refused(tmp_path):
    path = write_scanimage(tmp_path / "a.tif", make_pages(2))
    with pytest.raises(RecordingError, match="channel 3 was not saved; choose from 1"):
        ScanImageTiff(path, channel=3)


def test_the_rate_of_averaged_frames_is_that_of_the_file(tmp_path):
    path = tmp_path / "a.tif"
    write_scanimage(path, make_pages(1), settings={"SI.hScan2D.logAverageFactor": "2"})
    with ScanImageTiff(path) as recording:
        assert recording.rate_hz == pytest.approx(15.01)


def test_a_pause_between_acquisitions_does_not_change_the_rate(tmp_path):
    times = [0.0, 0.1, 0.2, 1.5, 1.6, 1.7]
    stamps = [(i + 1, t) for i, t in enumerate(times)]
    path = write_scanimage(tmp_path / "a.tif", make_pages(6), stamps)
    with ScanImageTiff(path) as recording:
        assert recording.rate_hz == pytest.approx(10.0)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_both_page_readers_give_the_same_frames(tmp_path, dtype):
    pixels = make_pages(5, dtype=dtype)
    plain = write_scanimage(tmp_path / "plain.tif", pixels)
    # The fast reader is not given paths outside ASCII, nor compressed pages.
    other = write_scanimage(tmp_path / "größer.tif", pixels)
    zipped = write_scanimage(tmp_path / "zipped.tif", pixels, compression=8)
    for path in (plain, other, zipped):
        frames = read(path)
        assert [f.number for f in frames] == [1, 2, 3, 4, 5]
        assert frames[0].pixels.dtype == dtype
        assert np.array_equal([f.pixels for f in frames], pixels)


def test_the_fast_page_reader_is_used_for_uncompressed_files(tmp_path):
    plain = write_scanimage(tmp_path / "plain.tif", make_pages(2))
    zipped = write_scanimage(tmp_path / "zipped.tif", make_pages(2), compression=8)
    with ScanImageTiff(plain) as fast, ScanImageTiff(zipped) as slow:
        assert type(slow._pages).__name__ == "_TifffilePages"
        assert type(fast._pages).__name__ == "_ScanImageReaderPages"


def test_a_page_that_cannot_be_decoded_is_refused(tmp_path):
    path = write_scanimage(
        tmp_path / "a.tif", make_pages(2), compression=7
    )  # JPEG, it claims
    with pytest.raises(RecordingError, match="page 0 cannot be decoded"):
        ScanImageTiff(path)


@pytest.mark.parametrize("cut_bytes", [1, 300, 400, 700, 800, 1400])
def test_a_truncated_file_gives_its_complete_frames_and_a_notice(tmp_path, cut_bytes):
    pixels, path = make_pages(6), tmp_path / "a.tif"
    settings = {"SI.hStackManager.framesPerSlice": "6"}
    ends = [
        write_scanimage(path, pixels[:n], settings=settings).stat().st_size
        for n in range(1, 7)
    ]
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    n_whole = sum(end <= path.stat().st_size for end in ends)
    with ScanImageTiff(path) as recording:
        frames = list(recording.frames())
        words = (
            f"{n_whole} complete frames, {6 - n_whole} of the 6 requested frames are"
        )
        assert words in recording.notice
    assert np.array_equal([f.pixels for f in frames], pixels[:n_whole])


def test_an_aborted_recording_is_not_reported_as_truncated(tmp_path):
    settings = {"SI.hStackManager.framesPerSlice": "2003"}
    path = write_scanimage(tmp_path / "a.tif", make_pages(3), settings=settings)
    with ScanImageTiff(path) as recording:
        assert (len(recording), recording.notice) == (3, "")


def test_a_truncated_file_without_a_frame_limit_has_a_notice(tmp_path):
    path = write_scanimage(tmp_path / "a.tif", make_pages(3))
    path.write_bytes(path.read_bytes()[:-5])
    with ScanImageTiff(path) as recording:
        assert "2 complete frames, the rest is missing" in recording.notice


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_not_movies_are_refused_with_the_reason(tmp_path, case):
    settings, words = REFUSED[case]
    path = tmp_path / "a.tif"
    write_scanimage(path, make_pages(2), settings=settings, rois=[{}, {}])
    with pytest.raises(RecordingError, match=f"cannot be opened: .*{words}"):
        open_recording(path)


def test_missing_empty_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    with pytest.raises(RecordingError, match="does not exist"):
        ScanImageTiff(path)
    path.write_bytes(b"")
    with pytest.raises(RecordingError, match="is empty"):
        ScanImageTiff(path)
    path.write_bytes(b"frames, I promise" * 9)
    with pytest.raises(RecordingError, match="is not a readable TIFF file"):
        ScanImageTiff(path)
    tifffile.imwrite(path, make_pages(4), photometric="minisblack")
    with pytest.raises(RecordingError, match="ScanImage did not write it"):
        ScanImageTiff(path)


@pytest.mark.parametrize("n_bytes", [9, 20, 200, 400, 500, 700])
def test_a_file_truncated_before_its_first_frame_is_refused(tmp_path, n_bytes):
    path = write_scanimage(tmp_path / "a.tif", make_pages(2))
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(RecordingError):
        ScanImageTiff(path)


def test_pixels_of_another_type_are_refused(tmp_path):
    path = write_scanimage(tmp_path / "a.tif", make_pages(2, dtype=np.uint8))
    with pytest.raises(RecordingError, match="its pixels are uint8"):
        ScanImageTiff(path)


def test_a_frame_of_another_shape_is_refused(tmp_path):
    mixed = [*make_pages(1), *make_pages(1, shape=(4, 4))]
    path = write_scanimage(tmp_path / "größer.tif", mixed)
    with pytest.raises(RecordingError, match="frame 2 is int16"):
        read(path)


def test_reading_a_closed_recording_is_refused(tmp_path):
    path = write_scanimage(tmp_path / "a.tif", make_pages(2))
    with ScanImageTiff(path) as recording:
        frames = recording.frames()
        next(frames)
    with pytest.raises(RecordingError, match="is closed"):
        next(frames)


def test_a_frame_without_a_number_is_refused():
    with pytest.raises(RecordingError, match="a frame has no frameNumbers"):
        scanimage_header.parse_frame_stamp("epoch = [2024 5 17 10 31 2.5]")


@needs[REAL]
def test_pixels_of_a_real_file_equal_those_that_tifffile_reads():
    with ScanImageTiff(REAL) as recording, tifffile.TiffFile(REAL) as tiff:
        assert (len(recording), recording.shape) == (100, (512, 512))
        assert recording.rate_hz == pytest.approx(7.0, rel=1e-6)
        for frame, page in zip(recording.frames(), tiff.pages, strict=True):
            assert np.array_equal(frame.pixels, page.asarray())


@needs[REAL]
def test_a_truncated_real_file_is_read_to_its_end(tmp_path):
    path = tmp_path / "half.tif"
    with REAL.open("rb") as whole:
        path.write_bytes(whole.read(REAL.stat().st_size // 2))
    with ScanImageTiff(path) as recording:
        assert "49 complete frames, 51 of the 100" in recording.notice
        assert [f.number for f in recording.frames()] == list(range(1, 50))


@needs[OLD]
def test_a_file_of_version_3_has_the_rate_of_its_settings():
    with ScanImageTiff(OLD) as recording, tifffile.TiffFile(OLD) as tiff:
        assert recording.rate_hz == pytest.approx(8.13802, rel=1e-4)
        assert recording.channels == (2,)
        frames = list(recording.frames())
        assert np.array_equal(frames[3].pixels, tiff.pages[3].asarray())
    assert [f.number for f in frames] == list(range(1, 31))
    assert frames[-1].t_s == pytest.approx(29 / 8.13802, rel=1e-4)


def flatten(header, name="SI"):
    for key, value in header.items():
        path = f"{name}.{key}"
        yield from flatten(value, path) if isinstance(value, dict) else [(path, value)]


@needs[HEADERS]
def test_real_settings_and_frame_texts_are_parsed():
    for record in json.loads(gzip.decompress(HEADERS.read_bytes())):
        text = "\n".join(f"{key} = {value}" for key, value in flatten(record["header"]))
        settings = tifffile.matlabstr2py(text)
        groups = record["json"]["RoiGroups"]
        if record["group"] == "stackPost":
            with pytest.raises(RecordingError, match="31 planes"):
                scanimage_header.read_header(settings, groups)
        else:
            header = scanimage_header.read_header(settings, groups)
            assert header.channels == (1,)
            assert header.rate_hz == pytest.approx(19.41, abs=0.02)
        for description in record["descriptions"]:
            lines = "\n".join(f"{key} = {value}" for key, value in description.items())
            number, t_s = scanimage_header.parse_frame_stamp(lines)
            assert number == int(description["frameNumbers"])
            assert t_s == float(description["frameTimestamps_sec"])
