"""Arrays in .npy files, read without running what a pickle may carry."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array

# All that arrays, numbers, texts and dicts of them need to be rebuilt. numpy moved
# these between 1.x and 2.x; files name the place that wrote them.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}
# Settings also hold when and where they were used: rebuilt as what touches no disk.
_HARMLESS = {
    ("datetime", "datetime"): datetime.datetime,
    ("datetime", "timedelta"): datetime.timedelta,
    ("datetime", "timezone"): datetime.timezone,
    **{
        (module, f"{system}Path"): pure
        for module in ("pathlib", "pathlib._local")
        for system, pure in (("Posix", PurePosixPath), ("Windows", PureWindowsPath))
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return _HARMLESS[module, name]
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"it asks to load {module}.{name}, which masks do not need, and was refused"
        )


def read_objects(path: Path) -> Array:
    """Return the object array in a .npy file, as `numpy.save` wrote it.

    Raises UserError: no such array, a damaged file, or one that asks for anything
    beyond arrays, numbers, texts, times and paths.
    """
    try:
        with path.open("rb") as file:
            _require_objects(file)
            objects = _Unpickler(file).load()
    except (OSError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise UserError(f"{path} cannot be read as a Suite2p file: {error}") from None
    if not isinstance(objects, np.ndarray):
        raise UserError(f"{path} cannot be read as a Suite2p file: no array in it")
    return objects


def read_numbers(path: Path) -> Array:
    """Return the array of numbers in a .npy file; UserError for anything else."""
    try:
        with path.open("rb") as file:
            numbers = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if numbers.dtype.kind not in "biuf":
        raise UserError(f"{path} holds {numbers.dtype}, not numbers")
    return numbers


def holds_objects(path: Path) -> bool:
    """Tell whether a .npy file holds objects rather than numbers; damaged ones may."""
    try:
        with path.open("rb") as file:
            return bool(_header_dtype(file).hasobject)
    except (OSError, ValueError):
        return True


def _require_objects(file: BinaryIO) -> None:
    """Read the .npy header, leaving the file where the pickle begins."""
    dtype = _header_dtype(file)
    if not dtype.hasobject:
        raise UserError(f"it holds an array of {dtype}, not of ROIs")


def _header_dtype(file: BinaryIO) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    return read_header(file)[2]
