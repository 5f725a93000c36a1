"""Arrays in .npy files, and files that would run code."""

from __future__ import annotations

import datetime
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.sources.npy import has_objects, read_numbers, read_objects

SETTINGS = {
    "Ly": np.int64(512),
    "fs": 30.0,
    "refImg": np.arange(6.0).reshape(2, 3),
    "yrange": [2, 510],
    "filelist": ["a.tif"],
    "nonrigid": np.bool_(True),
    "data_path": [Path("somewhere") / "else"],
    "date_proc": datetime.datetime(2026, 6, 2, tzinfo=datetime.UTC),
    "date_local": datetime.datetime(2026, 6, 2).astimezone(),
}


def save_objects(path: Path, content: object, protocol: int = 4) -> Path:
    """Write as numpy does, with any protocol of pickle."""
    array = np.array(content, object)
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(array, file, protocol)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_settings_are_read_from_every_pickle_protocol(tmp_path, protocol):
    back = read_objects(save_objects(tmp_path / "ops.npy", SETTINGS, protocol)).item()
    assert back.keys() == SETTINGS.keys()
    np.testing.assert_array_equal(back.pop("refImg"), SETTINGS["refImg"])
    (path,) = back.pop("data_path")
    assert isinstance(path, PurePath)
    assert path.parts == ("somewhere", "else")
    assert back == {key: SETTINGS[key] for key in back}


class Payload:
    """When unpickled by `pickle.load`, it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_file_that_tries_to_run_code_is_refused(tmp_path):
    marker = tmp_path / "it ran"
    path = save_objects(tmp_path / "stat.npy", [{"ypix": [1]}, Payload(marker)])
    with pytest.raises(UserError, match=r"asks to load io\.open.*was refused"):
        read_objects(path)
    assert not marker.exists()
    np.load(path, allow_pickle=True)[1].close()  # the payload does work
    assert marker.exists()


def test_a_path_in_a_file_cannot_touch_the_disk(tmp_path):
    path = read_objects(save_objects(tmp_path / "ops.npy", [tmp_path, tmp_path]))[0]
    assert not hasattr(path, "unlink")


@pytest.mark.parametrize(
    "content", [b"", b"not a npy file at all", b"\x93NUMPY\x01\x00"]
)
def test_a_damaged_file_is_refused_with_the_reason(tmp_path, content):
    (tmp_path / "stat.npy").write_bytes(content)
    assert has_objects(
        tmp_path / "stat.npy"
    )  # so the reader of objects reports the damage
    for read in (read_objects, read_numbers):
        with pytest.raises(UserError, match="cannot be read"):
            read(tmp_path / "stat.npy")


def test_a_truncated_pickle_is_refused(tmp_path):
    path = save_objects(tmp_path / "stat.npy", [{"ypix": np.arange(9)}, 1])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot be read as a Suite2p file"):
        read_objects(path)


def test_arrays_of_numbers_and_of_objects_are_distinguished(tmp_path):
    np.save(tmp_path / "numbers.npy", np.eye(3))
    save_objects(tmp_path / "objects.npy", [{}, {}])
    assert not has_objects(tmp_path / "numbers.npy")
    assert has_objects(tmp_path / "objects.npy")
    np.testing.assert_array_equal(read_numbers(tmp_path / "numbers.npy"), np.eye(3))
    with pytest.raises(UserError, match="an array of float64, not of ROIs"):
        read_objects(tmp_path / "numbers.npy")
    with pytest.raises(UserError, match="cannot be read"):
        read_numbers(tmp_path / "objects.npy")
    np.save(tmp_path / "text.npy", np.array(["a"]))
    with pytest.raises(UserError, match="<U1, not numbers"):
        read_numbers(tmp_path / "text.npy")


COLLECTIONS = {
    "channels": {1, 2},
    "frozen": frozenset({3}),
    "crop": slice(0, 5),
    "range": range(3),
    "frequency": 1j,
    "ordered": OrderedDict(a=1),
    "default": defaultdict(list, b=[2]),
    "date": datetime.date(2026, 6, 2),
    "pure": PurePosixPath("/x"),
    "t0": np.datetime64("2026-06-02"),
}


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_settings_may_hold_pythons_own_collections(tmp_path, kind, protocol):
    path = save_objects(tmp_path / "ops.npy", kind(COLLECTIONS), protocol)
    assert read_objects(path).item() == COLLECTIONS


def test_settings_may_hold_a_masked_array(tmp_path):
    masked = np.ma.masked_array([1, 2], [0, 1])
    back = read_objects(save_objects(tmp_path / "ops.npy", {"m": masked})).item()
    assert back["m"].mask.tolist() == [False, True]
    assert back["m"][0] == 1


@pytest.mark.parametrize("name", ["eval", "exec", "getattr", "open", "__import__"])
def test_no_other_builtin_is_loaded(tmp_path, name):
    pickled = f"c__builtin__\n{name}\n.".encode()
    path = tmp_path / "ops.npy"
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(pickled)
    with pytest.raises(UserError, match=rf"{name}, which Suite2p's files do not need"):
        read_objects(path)
