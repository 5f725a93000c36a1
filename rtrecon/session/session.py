"""A recorded session, read: finished, still running, or left by a killed daemon."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TypeVar
from zipfile import is_zipfile

import msgspec
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session import tables
from rtrecon.session.about import (
    FORMAT_VERSION,
    About,
    Clip,
    find_impossible_value,
)
from rtrecon.session.movie_reader import select_final_frames, select_frames_at_lag
from rtrecon.session.table import Table

Message = TypeVar("Message", bound=msgspec.Struct)


class NotASessionError(UserError):
    """A folder that holds no recorded session; its text says why."""


class Session:
    """Reads a session's folder; raises `NotASessionError` if it is none.

    Tables: `frames` (values: traces (n, 3, n_roi), see `tables.TRACE_NAMES`),
    `activity`, `stimulus`, `behavior`, `sync`, `movie` (values: windows), `spread`;
    with a photodiode `onsets`, which is None in other sessions; of
    neurons in a dish also `dish`, `dish_bodies`, `dish_contacts`, `dish_events`,
    `dish_traces`, which raise `UserError` in other sessions. Lists of published
    messages: `events`, `quality`, `health`, `calibration`; and of `clips`. Each is read
    when it is first used, as it is on disk at that moment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = _load_about(path)
        self._specs = tables.make_table_specs(self.about)
        self._message_notices: list[str] = []

    @cached_property
    def frames(self) -> Table:
        """One row per microscope frame, see `tables.FrameRow`."""
        return self._open_table("frames")

    @cached_property
    def activity(self) -> Table:
        """One row per encoder frame, see `tables.ActivityRow`."""
        return self._open_table("activity")

    @cached_property
    def stimulus(self) -> Table:
        """One row per encoder frame with a known stimulus, see `tables.StimulusRow`."""
        return self._open_table("stimulus")

    @cached_property
    def behavior(self) -> Table:
        """One row per behavior sample, see `tables.BehaviorRow`."""
        return self._open_table("behavior")

    @cached_property
    def onsets(self) -> Table | None:
        """When pictures appeared, see `tables.OnsetRow`; None without a photodiode."""
        return self._open_table("onsets") if self.about.has_photodiode else None

    @cached_property
    def sync(self) -> Table:
        """One row per edge of a digital line, see `tables.SyncRow`."""
        return self._open_table("sync")

    @cached_property
    def movie(self) -> Table:
        """One row per hop of the inverter, see `tables.MovieRow`."""
        return self._open_table("movie")

    @cached_property
    def spread(self) -> Table:
        """How sure the movie was, see `tables.SpreadRow`."""
        return self._open_table("spread")

    @cached_property
    def dish(self) -> Table:
        """One row per picture of a dish, see `dish_tables.DishRow`; values: views."""
        return self._open_table("dish")

    @cached_property
    def dish_bodies(self) -> Table:
        """One row per cell body and picture, see `dish_tables.DishBodyRow`."""
        return self._open_table("dish_bodies")

    @cached_property
    def dish_contacts(self) -> Table:
        """One row per touch and picture, see `dish_tables.DishContactRow`."""
        return self._open_table("dish_contacts")

    @cached_property
    def dish_events(self) -> Table:
        """One row per event in a dish, see `dish_tables.DishEventRow`."""
        return self._open_table("dish_events")

    @cached_property
    def dish_traces(self) -> Table:
        """One row per picture, see `dish_tables.DishTraceRow`; values: owners."""
        return self._open_table("dish_traces")

    @cached_property
    def events(self) -> list[messages.Event]:
        """Published events."""
        return self._read_messages("events", messages.Event)

    @cached_property
    def quality(self) -> list[messages.Quality]:
        """Published quality of the reconstruction."""
        return self._read_messages("quality", messages.Quality)

    @cached_property
    def health(self) -> list[messages.Health]:
        """Published health of each process."""
        return self._read_messages("health", messages.Health)

    @cached_property
    def clips(self) -> list[Clip]:
        """Where each stimulus clip begins; empty if the sender did not say."""
        return self._read_messages("clips", Clip)

    @cached_property
    def calibration(self) -> list[messages.Calibration]:
        """Published progress of an encoder trained in the session."""
        return self._read_messages("calibration", messages.Calibration)

    @property
    def notices(self) -> list[str]:
        """Sentences on what cannot be read: the table, the seconds lost, and why.

        Reading values may add to them: a wrong checksum is found only then, or by
        `check_values`.
        """
        tables_read = [getattr(self, name) for name in self._specs]
        for name in tables.MESSAGE_FILES:
            getattr(self, name)  # reads the file, which may add a notice
        of_tables = [notice for table in tables_read for notice in table.notices]
        return of_tables + self._message_notices

    def check_values(self) -> None:
        """Compare all values with their checksums, so that `notices` names all damage.

        Reads every file of the session once.
        """
        for name in self._specs:
            table: Table = getattr(self, name)
            table.check_values()

    def read_encoder_behavior(self) -> Array:
        """Return the behavior at every row of `activity`: (n, 4), in `BEHAVIOR` order.

        NaN where it was not measured.
        """
        return np.stack([self.activity[name] for name in BEHAVIOR], 1)

    def read_movie_at_lag(self, lag_frames: int) -> tuple[Array, Array]:
        """Return the movie as it was when each of its frames was `lag_frames` old.

        Returns encoder frames (n,), increasing, and images uint8 (n, height, width).
        A frame that had no reconstruction yet at that age is left out.
        """
        movie = select_frames_at_lag(self.movie, lag_frames)
        return movie.encoder_frames, movie.read_all()

    def read_final_movie(self) -> tuple[Array, Array]:
        """Return the images that would not change again, like `read_movie_at_lag`."""
        movie = select_final_frames(self.movie)
        return movie.encoder_frames, movie.read_all()

    def _open_table(self, name: str) -> Table:
        if name not in self._specs:
            raise UserError(
                f"{self.path} has no table '{name}': it is not a session of neurons in "
                "a dish"
            )
        return Table(self.path / tables.ARRAYS_FOLDER / name, name, self._specs[name])

    def _read_messages(self, name: str, kind: type[Message]) -> list[Message]:
        """Read messages, one per line; a line that cannot be read is skipped."""
        file = self.path / tables.MESSAGE_FILES[name]
        decoder = msgspec.json.Decoder(kind)
        decoded: list[Message] = []
        n_skipped = 0
        try:
            lines = file.read_bytes().splitlines() if file.exists() else []
        except OSError as error:  # a folder of that name, a damaged disk
            self._message_notices.append(f"{file.name} cannot be read: {error}")
            return decoded
        for line in lines:
            try:
                decoded.append(decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError):
                n_skipped += 1
        if n_skipped:
            self._message_notices.append(
                f"{file.name}: {n_skipped} of {len(decoded) + n_skipped} lines cannot "
                "be read; they are left out"
            )
        return decoded


def list_sessions(folder: Path) -> list[Path]:
    """Return the folders of all sessions in a folder, oldest first."""
    return sorted(file.parent for file in folder.glob(f"*/{tables.ABOUT_FILE}"))


def _load_about(path: Path) -> About:
    if is_zipfile(path):
        raise NotASessionError(
            f"{path} is a packed session; unpack it first (python -m zipfile -e "
            f"{path.name} .), then give the folder that this makes"
        )
    try:
        about = msgspec.json.decode((path / tables.ABOUT_FILE).read_bytes(), type=About)
    except OSError:
        raise NotASessionError(
            f"{path} is not a recorded session: it holds no {tables.ABOUT_FILE}; "
            "give the folder of one session, named like 20260131-093000_1a2b3c4d"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotASessionError(
            f"{path} cannot be read as a recorded session: {tables.ABOUT_FILE}: {error}"
        ) from None
    if about.format > FORMAT_VERSION:
        raise NotASessionError(
            f"{path} has format {about.format}, this rtrecon reads up to "
            f"{FORMAT_VERSION}; update rtrecon"
        )
    if fault := find_impossible_value(about):
        raise NotASessionError(
            f"{path} cannot be read as a recorded session: {tables.ABOUT_FILE}: {fault}"
        )
    return about
