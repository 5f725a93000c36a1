"""HDF5 files, opened so that what is wrong with one is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from rtrecon.core.errors import UserError


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; what fails in it meanwhile becomes a UserError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except UserError:
        raise
    except Exception as error:  # a damaged file may raise nearly anything
        raise UserError(f"{path} cannot be read: {error}") from None
