"""Data and times of an NWB series: streamed from the session, in constant memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hdmf.backends.hdf5.h5_utils import H5DataIO
from hdmf.data_utils import GenericDataChunkIterator

from rtrecon.core.types import Array

_BLOCK_BYTES = 2**20  # read, compressed and written at a time
_MAX_JITTER_S = 1e-6  # of times that count as regular

RowReader = Callable[[int, int], Array]  # start, stop -> those rows


class StreamedRows(GenericDataChunkIterator):  # type: ignore[misc]  # hdmf is not typed
    """An array whose rows are read only when they are written to the file."""

    def __init__(
        self, shape: tuple[int, ...], dtype: str, read_rows: RowReader
    ) -> None:
        self._shape, self._type, self._read = shape, np.dtype(dtype), read_rows
        row_bytes = int(np.prod(shape[1:])) * self._type.itemsize
        block = (min(shape[0], max(1, _BLOCK_BYTES // row_bytes)), *shape[1:])
        super().__init__(buffer_shape=block, chunk_shape=block)

    def _get_data(self, selection: tuple[slice, ...]) -> Array:
        return self._read(selection[0].start, selection[0].stop)

    def _get_maxshape(self) -> tuple[int, ...]:
        return self._shape

    def _get_dtype(self) -> Any:
        return self._type


def stream_rows(
    shape: tuple[int, ...],
    dtype: str,
    read_rows: RowReader,
    on_fraction: Callable[[float], None],
) -> H5DataIO:
    """Return compressed data for a series; needs at least one row.

    on_fraction: called with the fraction of the rows that is being written.
    """

    def read_and_report(start: int, stop: int) -> Array:
        on_fraction(stop / shape[0])
        return read_rows(start, stop)

    rows = StreamedRows(shape, dtype, read_and_report)
    return H5DataIO(rows, compression="gzip", shuffle=True)


def describe_times(t_s: Array) -> dict[str, object]:
    """Return times as NWB's arguments: start and rate if they are regular."""
    steps_s = np.diff(t_s)
    if len(steps_s) > 1 and np.ptp(steps_s) < _MAX_JITTER_S:
        rate_hz = len(steps_s) / float(t_s[-1] - t_s[0])
        return {"starting_time": float(t_s[0]), "rate": rate_hz}
    return {"timestamps": t_s}
