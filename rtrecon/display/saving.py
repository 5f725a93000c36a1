"""Saves pictures of the window and clips of the movie as files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PySide6.QtGui import QPixmap

from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.core.types import Array
from rtrecon.sources.stimulus_file import choose_suffix, write_stimulus_file
from rtrecon.sources.video import join_side_by_side, write_movie
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

FramePair = tuple[Array, Array | None]  # reconstruction and, where known, stimulus


class FileSaver:
    """Saves into a folder under names made of the time.

    Writes clips in a thread, so that the window does not stop; `finished_clip_notice`
    returns a sentence for each clip that is done.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._executor = ThreadPoolExecutor(1, "clip")
        self._pending: list[tuple[Path, Future[None]]] = []

    def save_picture(self, picture: QPixmap) -> str:
        """Save a PNG; return a sentence about it."""
        path = self._make_path("png")
        try:
            write_png(path, picture)
        except OSError as error:
            return f"Picture {path} cannot be written: {error}"
        return f"Picture saved: {path}"

    def start_clip(
        self, pairs: Sequence[FramePair], space: StimulusSpace = VIDEO
    ) -> str:
        """Start to save an MP4, the reconstruction left and the stimulus right.

        Of other senses than vision, the reconstruction alone: a WAV file of a sound, a
        table of touch.
        """
        if not pairs:
            return "No clip saved: there is no movie yet"
        path = self._make_path(choose_suffix(space))
        future = self._executor.submit(_write_clip, path, pairs, space)
        self._pending.append((path, future))
        what = "movie" if space.is_picture else space.name
        return f"Saving {len(pairs) / space.rate_hz:.0f} s of {what} as {path} ..."

    def finished_clip_notice(self) -> str:
        """Return a sentence about a clip that is done; "" if none is."""
        for path, future in self._pending:
            if future.done():
                self._pending.remove((path, future))
                error = future.exception()
                return f"{error}" if error else f"Clip saved: {path}"
        return ""

    def close(self) -> None:
        """Wait until all clips are written."""
        self._executor.shutdown()

    def _make_path(self, suffix: str) -> Path:
        clock = time.strftime("%Y-%m-%d_%H-%M-%S")
        path, number = self._folder / f"rtrecon_{clock}.{suffix}", 1
        pending = [path for path, _ in self._pending]
        while path.exists() or path in pending:
            number += 1
            path = self._folder / f"rtrecon_{clock}_{number}.{suffix}"
        return path


def write_png(path: Path, picture: QPixmap) -> None:
    """Write or replace a PNG; other programs never read an incomplete file.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_atomically(path) as temporary:
        if not picture.save(str(temporary), "PNG"):
            raise OSError("is the disk full?")


def _write_clip(path: Path, pairs: Sequence[FramePair], space: StimulusSpace) -> None:
    try:
        if not space.is_picture:
            write_stimulus_file(path, np.stack([movie for movie, _ in pairs]), space)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_atomically(path) as temporary:
            write_movie(temporary, make_clip(pairs), rate_hz=space.rate_hz)
    except OSError as error:
        raise UserError(f"Clip {path} cannot be written: {error}") from None


def make_clip(pairs: Sequence[FramePair]) -> Array:
    """Return uint8 (n, height, width): reconstruction, a gap, stimulus.

    An unknown stimulus is black. If no stimulus is known, or none has the shape of the
    reconstruction, the frames hold only the reconstruction.
    """
    movie = np.stack([reconstruction for reconstruction, _ in pairs])
    shape = movie.shape[1:]
    stimuli = [
        stimulus if stimulus is not None and stimulus.shape == shape else None
        for _, stimulus in pairs
    ]
    if all(stimulus is None for stimulus in stimuli):
        return movie
    black = np.zeros(shape, np.uint8)
    right = np.stack([black if stimulus is None else stimulus for stimulus in stimuli])
    return join_side_by_side(movie, right)
