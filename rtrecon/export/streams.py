"""Arrays that are read from a recording while they are written, never held whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hdmf.backends.hdf5.h5_utils import H5DataIO
from hdmf.data_utils import GenericDataChunkIterator

from rtrecon.core.types import Array

_BLOCK_BYTES = 2**20  # read, compressed and written at a time

Read = Callable[[int, int], Array]
Told = Callable[[str, float, str], None]


class Rows(GenericDataChunkIterator):  # type: ignore[misc]  # hdmf is not typed
    """An array of n rows, of which `read(start, stop)` returns some."""

    def __init__(self, shape: tuple[int, ...], dtype: str, read: Read) -> None:
        self._shape, self._type, self._read = shape, np.dtype(dtype), read
        row_bytes = int(np.prod(shape[1:])) * self._type.itemsize
        block = (min(shape[0], max(1, _BLOCK_BYTES // row_bytes)), *shape[1:])
        super().__init__(buffer_shape=block, chunk_shape=block)

    def _get_data(self, selection: tuple[slice, ...]) -> Array:
        return self._read(selection[0].start, selection[0].stop)

    def _get_maxshape(self) -> tuple[int, ...]:
        return self._shape

    def _get_dtype(self) -> Any:
        return self._type


def rows(
    shape: tuple[int, ...], dtype: str, read: Read, told: Callable[[float], None]
) -> H5DataIO:
    """Return an array for a series: compressed, `told` of the share 0..1 written."""

    def reading(start: int, stop: int) -> Array:
        told(stop / shape[0])
        return read(start, stop)

    return H5DataIO(Rows(shape, dtype, reading), compression="gzip", shuffle=True)
