"""Reads arrays from .npy files without running code that a pickle may contain."""

from __future__ import annotations

import datetime
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array

# Everything needed to rebuild arrays, numbers, texts and dicts of them. numpy moved
# these modules between 1.x and 2.x, and a file names those of the numpy that wrote it.
_ALLOWED_GLOBALS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("numpy.ma.core", "_mareconstruct"),
    ("numpy.ma.core", "MaskedArray"),
    ("numpy.ma", "MaskedArray"),
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
# Settings also hold dates, sets, slices and paths; paths become pure ones, which touch
# no disk. None of these can run code or open a file.
_SAFE_SUBSTITUTES = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    # `builtins` as Python 3 names it, and as old pickles do.
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (set, frozenset, slice, range, complex, list, dict, tuple)
    },
    ("datetime", "date"): datetime.date,
    ("datetime", "time"): datetime.time,
    ("datetime", "datetime"): datetime.datetime,
    ("datetime", "timedelta"): datetime.timedelta,
    ("datetime", "timezone"): datetime.timezone,
    **{
        (module, f"{purity}{system}Path"): pure
        for module in ("pathlib", "pathlib._local")
        for purity in ("", "Pure")
        for system, pure in (("Posix", PurePosixPath), ("Windows", PureWindowsPath))
    },
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Refuses to load anything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _SAFE_SUBSTITUTES:
            return _SAFE_SUBSTITUTES[module, name]
        if (module, name) in _ALLOWED_GLOBALS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"it asks to load {module}.{name}, which Suite2p's files do not need; this "
            "was refused"
        )


def read_objects(path: Path) -> Array:
    """Return the object array in a .npy file, as `numpy.save` wrote it.

    Raises UserError if the file holds no such array, is damaged, or asks to load
    anything other than arrays, numbers, texts, dates, paths and Python's own
    collections.
    """
    try:
        with path.open("rb") as file:
            _require_objects(file)
            objects = _RestrictedUnpickler(file).load()
    except (OSError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except Exception as error:  # damaged pickles raise exceptions of many types
        raise UserError(f"{path} cannot be read as a Suite2p file: {error}") from None
    if not isinstance(objects, np.ndarray):
        raise UserError(f"{path} cannot be read as a Suite2p file: no array in it")
    return objects


def read_numbers(path: Path) -> Array:
    """Return the array of numbers in a .npy file; raises UserError otherwise."""
    try:
        with path.open("rb") as file:
            numbers = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if numbers.dtype.kind not in "biuf":
        raise UserError(f"{path} holds {numbers.dtype}, not numbers")
    return numbers


def has_objects(path: Path) -> bool:
    """Return whether a .npy file holds objects, not numbers; True if it is damaged."""
    try:
        with path.open("rb") as file:
            return bool(_read_header_dtype(file).hasobject)
    except (OSError, ValueError):
        return True


def _require_objects(file: BinaryIO) -> None:
    """Read the .npy header; the file is then at the beginning of the pickle."""
    dtype = _read_header_dtype(file)
    if not dtype.hasobject:
        raise UserError(f"it holds an array of {dtype}, not of ROIs")


def _read_header_dtype(file: BinaryIO) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    return read_header(file)[2]
