"""A recording, read: finished, still running, or left by a killed daemon."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
import zarr

from rtrecon import wire
from rtrecon.errors import UserError
from rtrecon.record import tables
from rtrecon.record.growing import open_intact
from rtrecon.wire import Array

BLOCK_ROWS = 64  # rows read at a time: a block of movie windows is 4 MB

Message = TypeVar("Message", bound=msgspec.Struct)


class NotARecording(UserError):  # reads as the sentence it carries
    """A folder that holds no recording; its text says why."""


class Table:
    """One table of a recording as it was when it was opened.

    `table["column"]` is (n,) float64; `values(start, stop)` what those rows measured.
    """

    def __init__(self, folder: Path) -> None:
        columns = zarr.open_group(folder, mode="r").attrs["columns"]
        self.columns = cast("list[str]", columns)
        self._rows, self._length = open_intact(folder / "rows")
        self._values: zarr.Array[Any] | None = None
        if (folder / "values").exists():
            self._values, n_values = open_intact(folder / "values")
            self._length = min(self._length, n_values)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, column: str) -> Array:
        return self._all_rows[:, self.columns.index(column)]

    def values(self, start: int = 0, stop: int | None = None) -> Array:
        """Read rows start:stop of the values, (n, ...)."""
        if self._values is None:
            raise ValueError("this table has columns only, no values")
        stop = self._length if stop is None else min(stop, self._length)
        return np.asarray(self._values[start:stop])

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Yield (rows, values) a few rows at a time, for tables larger than memory."""
        for start in range(0, self._length, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, self._length)
            yield self._all_rows[start:stop], self.values(start, stop)

    @cached_property
    def _all_rows(self) -> Array:
        return np.asarray(self._rows[: self._length])


class Session:
    """A recording's folder; raises `NotARecording` if it is none.

    Tables: `frames` (values: traces (n, 3, n_roi), see `tables.TRACES`), `activity`,
    `stimulus`, `behavior`, `movie` (values: the windows). Messages as they were
    published: `events`, `quality`, `health`. All as of the moment of first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = _about(path)

    @cached_property
    def frames(self) -> Table:
        """One row per microscope frame, see `tables.FrameRow`."""
        return self._table("frames")

    @cached_property
    def activity(self) -> Table:
        """One row per encoder frame, see `tables.ActivityRow`."""
        return self._table("activity")

    @cached_property
    def stimulus(self) -> Table:
        """One row per encoder frame whose stimulus is known: `tables.StimulusRow`."""
        return self._table("stimulus")

    @cached_property
    def behavior(self) -> Table:
        """One row per behaviour sample, see `tables.BehaviorRow`."""
        return self._table("behavior")

    @cached_property
    def movie(self) -> Table:
        """One row per hop of the inverter, see `tables.MovieRow`."""
        return self._table("movie")

    @cached_property
    def events(self) -> list[wire.Event]:
        """Everything that somebody might have acted on."""
        return _lines(self.path / tables.LINES["events"], wire.Event)

    @cached_property
    def quality(self) -> list[wire.Quality]:
        """How far the movie could be trusted, through the session."""
        return _lines(self.path / tables.LINES["quality"], wire.Quality)

    @cached_property
    def health(self) -> list[wire.Health]:
        """How front and inverter were doing, through the session."""
        return _lines(self.path / tables.LINES["health"], wire.Health)

    def movie_at_lag(self, lag_frames: int) -> tuple[Array, Array]:
        """Return the movie as it stood when each of its frames was `lag_frames` old.

        Returns encoder frame indices (n,), increasing, and frames (n, height, width)
        uint8. A frame that had no reconstruction yet at that age is left out.
        """
        return self._assemble(
            lambda hop: range(max(0, hop.count - 1 - lag_frames), hop.count)
        )

    def final_movie(self) -> tuple[Array, Array]:
        """Return the frames that would not change again, as `movie_at_lag` does."""
        return self._assemble(lambda hop: range(hop.final))

    def _assemble(
        self, chosen: Callable[[tables.MovieRow], range]
    ) -> tuple[Array, Array]:
        newest: dict[int, Array] = {}
        for rows, windows in self.movie.blocks():
            for row, window in zip(rows, windows, strict=True):
                hop = tables.MovieRow(*row[:3].astype(int), *row[3:])
                filled = window[len(window) - hop.count :]
                for place in chosen(hop):
                    newest[hop.index - hop.count + 1 + place] = filled[place].copy()
        indices = np.array(sorted(newest), np.int64)
        frames = np.empty((len(indices), *self.about.image_shape), np.uint8)
        for place, index in enumerate(indices):
            frames[place] = newest[index]
        return indices, frames

    def _table(self, name: str) -> Table:
        return Table(self.path / tables.ARRAYS / name)


def sessions(folder: Path) -> list[Path]:
    """Return the folders of all recordings in a folder, oldest first."""
    return sorted(file.parent for file in folder.glob(f"*/{tables.ABOUT}"))


def _about(path: Path) -> tables.About:
    try:
        about = msgspec.json.decode(
            (path / tables.ABOUT).read_bytes(), type=tables.About
        )
    except OSError:
        raise NotARecording(
            f"{path} is not a recording: it holds no {tables.ABOUT}; "
            "give the folder of one session, named like 20260131-093000_1a2b3c4d"
        ) from None
    except msgspec.DecodeError as error:
        raise NotARecording(
            f"{path} cannot be read as a recording: {tables.ABOUT}: {error}"
        ) from None
    if about.format > tables.FORMAT:
        raise NotARecording(
            f"{path} has format {about.format}, this rtrecon reads up to "
            f"{tables.FORMAT}; update rtrecon"
        )
    return about


def _lines(file: Path, kind: type[Message]) -> list[Message]:
    """Read messages, one per line; a line that was cut off is passed over."""
    decoder = msgspec.json.Decoder(kind)
    messages = []
    for line in file.read_bytes().splitlines() if file.exists() else []:
        with contextlib.suppress(msgspec.DecodeError):
            messages.append(decoder.decode(line))
    return messages
