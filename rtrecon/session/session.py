"""A recording, read: finished, still running, or left by a killed daemon."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session import tables
from rtrecon.session.movie_reader import told_at_lag, told_finally
from rtrecon.session.table import Table

Message = TypeVar("Message", bound=msgspec.Struct)


class NotARecording(UserError):  # reads as the sentence it carries
    """A folder that holds no recording; its text says why."""


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
    def sync(self) -> Table:
        """One row per edge of a digital line, see `tables.SyncRow`."""
        return self._table("sync")

    @cached_property
    def movie(self) -> Table:
        """One row per hop of the inverter, see `tables.MovieRow`."""
        return self._table("movie")

    @cached_property
    def events(self) -> list[messages.Event]:
        """Everything that somebody might have acted on."""
        return _lines(self.path / tables.LINES["events"], messages.Event)

    @cached_property
    def quality(self) -> list[messages.Quality]:
        """How far the movie could be trusted, through the session."""
        return _lines(self.path / tables.LINES["quality"], messages.Quality)

    @cached_property
    def health(self) -> list[messages.Health]:
        """How front and inverter were doing, through the session."""
        return _lines(self.path / tables.LINES["health"], messages.Health)

    @cached_property
    def clips(self) -> list[tables.Clip]:
        """Where in the stimulus another clip begins; empty where it was not told."""
        return _lines(self.path / tables.LINES["clips"], tables.Clip)

    def behaved(self) -> Array:
        """Return what the mouse did at every row of `activity`: (n, 4) as `BEHAVIOR`.

        NaN where it was not measured, or not kept: older versions left out where the
        pupil was.
        """
        table = self.activity
        unknown = np.full(len(table), np.nan)
        return np.stack(
            [table[name] if name in table.columns else unknown for name in BEHAVIOR], 1
        )

    def movie_at_lag(self, lag_frames: int) -> tuple[Array, Array]:
        """Return the movie as it stood when each of its frames was `lag_frames` old.

        Returns encoder frame indices (n,), increasing, and frames (n, height, width)
        uint8. A frame that had no reconstruction yet at that age is left out.
        """
        told = told_at_lag(self.movie, lag_frames)
        return told.indices, told.whole()

    def final_movie(self) -> tuple[Array, Array]:
        """Return the frames that would not change again, as `movie_at_lag` does."""
        told = told_finally(self.movie)
        return told.indices, told.whole()

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
