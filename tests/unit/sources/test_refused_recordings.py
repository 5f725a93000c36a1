"""`open_recording` refuses bad files with a reason."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.sources import RecordingError, RecordingHints, open_recording
from rtrecon.testing.scanimage_file import write_scanimage
from tests.support.recording_files import (
    PIXELS,
    RATE,
    SHAPE,
    TIMES,
    write_nwb,
    write_one_of_two_datasets,
    write_scanbox,
    write_single_dataset,
    write_stack,
    write_suite2p,
    write_thor,
)


def test_the_error_names_the_package_that_a_compression_needs(tmp_path, monkeypatch):
    path = write_stack(tmp_path, metadata=TIMES, compression="zlib")

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    words = "compressed with LZW, which needs another package; pip install imagecodecs"
    with pytest.raises(RecordingError, match=words):
        open_recording(path, RATE)


def test_settings_that_would_run_code_are_refused(tmp_path):
    class Payload:
        def __reduce__(self):
            return (Path(tmp_path / "owned").touch, ())

    path = write_suite2p(tmp_path) / "data.bin"
    np.save(tmp_path / "ops.npy", np.array(Payload(), object), allow_pickle=True)
    with pytest.raises(RecordingError, match="was refused; with --shape and --rate-hz"):
        open_recording(path)
    assert not (tmp_path / "owned").exists()


def name_missing_dataset(folder: Path) -> str:
    return f"{write_single_dataset(folder)}:/nothing"


def write_two_datasets(folder: Path) -> Path:
    write_one_of_two_datasets(folder)
    return folder / "a.h5"


def write_flat_dataset(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["data"] = np.zeros((3, 4))
    return folder / "a.h5:/data"


def write_external_images(folder: Path) -> Path:
    path = write_nwb(folder)
    with h5py.File(path, "r+") as file:
        file["acquisition/movie/external_file"] = [b"movie_00001.tif"]
    return path


def write_bytes_to(name: str, content: bytes):
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


# what is wrong -> function that writes the file, hints, words of the error
REFUSED = {
    "no rate": (write_stack, None, "ScanImage did not write it, .* give --rate-hz"),
    "a negative rate": (write_stack, RecordingHints(rate_hz=-1.0), "a rate of -1 Hz"),
    "a rate for a file that has one": (
        lambda folder: write_scanimage(folder / "a.tif", PIXELS),
        RATE,
        "stored the frame rate and the image size in it; leave out --rate-hz",
    ),
    "no such file": (
        lambda folder: folder / "none.bin",
        None,
        "does not exist; it can",
    ),
    "an unknown format": (
        write_bytes_to("a.xyz", b"RIFF"),
        None,
        "its format is unknown. A recording can be a ScanImage TIFF",
    ),
    "a Femtonics file": (
        write_bytes_to("a.MESC", b"HDF"),
        None,
        "a.MESC cannot be read",
    ),
    "no such dataset": (
        name_missing_dataset,
        RATE,
        "/nothing is not a dataset in it; its datasets are /data",
    ),
    "several datasets": (
        write_two_datasets,
        RATE,
        "2 movies .*/other, /raw/movie.*a.*h5:/",
    ),
    "a dataset of two axes": (write_flat_dataset, RATE, r"has shape \[3, 4\]"),
    "a damaged HDF5 file": (
        write_bytes_to("a.h5", b"HDF, I think"),
        RATE,
        "cannot be read",
    ),
    "images in other files": (
        write_external_images,
        None,
        "in other files; open movie_00001.tif instead",
    ),
    "an empty data.bin": (
        write_bytes_to("data.bin", b""),
        RecordingHints(rate_hz=1.0, shape=SHAPE),
        "no complete frame",
    ),
    "Thor without settings": (
        write_bytes_to("I.raw", b"12"),
        None,
        "Experiment.xml, which .* is not beside it",
    ),
    "Scanbox without settings": (
        write_bytes_to("a.sbx", b"12"),
        None,
        "a.mat, which .* is not beside it",
    ),
    "an empty folder": (lambda folder: folder, None, r"no file \*.tif\* is in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unreadable_recordings_are_refused_with_the_reason(tmp_path, case):
    write, hints, words = REFUSED[case]
    with pytest.raises(UserError, match=words):
        open_recording(write(tmp_path), hints)


@pytest.mark.parametrize("name", ["Experiment.xml", "a.mat"])
def test_damaged_settings_files_are_refused(tmp_path, name):
    path = write_thor(tmp_path) if name == "Experiment.xml" else write_scanbox(tmp_path)
    (tmp_path / name).write_bytes(b"<LSM nothing")
    with pytest.raises(RecordingError, match=f"{name} does not describe its layout"):
        open_recording(path)


def test_the_error_names_the_frame_of_a_damaged_chunk(tmp_path):
    write_one_of_two_datasets(tmp_path)
    path = tmp_path / "a.h5"
    with h5py.File(path) as file:
        chunk = file["raw/movie"].id.get_chunk_info(5)  # the second block of frames
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\0" * chunk.size)
    with open_recording(f"{path}:/raw/movie", RATE) as recording:
        frames = recording.frames()
        assert [next(frames).number for _ in range(4)] == [1, 2, 3, 4]
        with pytest.raises(RecordingError, match="frame 5 cannot be read"):
            next(frames)
