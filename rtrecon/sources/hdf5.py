"""Opening HDF5 files so that every failure is a `UserError` with a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from rtrecon.core.errors import UserError


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; any failure inside the block becomes a `UserError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except UserError:
        raise
    except Exception as error:  # damaged files raise exceptions of many types
        raise UserError(f"{path} cannot be read: {error}") from None
