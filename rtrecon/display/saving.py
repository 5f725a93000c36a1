"""Pictures of the window and clips of the movie, as files, without holding it up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PySide6.QtGui import QPixmap

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.display.playback import RATE_HZ
from rtrecon.sources.video import write_movie

_GAP_PX = 2  # between reconstruction and stimulus, in movie pixels

Pair = tuple[Array, Array | None]  # reconstruction and, where known, stimulus


class Saver:
    """Saves into a folder, named by the time; clips are written aside.

    Remembers the clips that are being written until somebody asks what became of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = ThreadPoolExecutor(1, "clip")
        self._writing: list[tuple[Path, Future[None]]] = []

    def picture(self, picture: QPixmap) -> str:
        """Save a PNG; returns a sentence about it."""
        path = self._new("png")
        try:
            write_png(path, picture)
        except OSError as error:
            return f"Picture {path} cannot be written: {error}"
        return f"Picture saved: {path}"

    def clip(self, pairs: Sequence[Pair]) -> str:
        """Begin to save an MP4, reconstruction left and stimulus right."""
        if not pairs:
            return "There is no movie yet that could be saved"
        path = self._new("mp4")
        self._writing.append((path, self._aside.submit(_write_clip, path, pairs)))
        return f"Saving {len(pairs) / RATE_HZ:.0f} s of movie as {path} ..."

    def told(self) -> str:
        """Return a sentence about a clip that is done; empty if none has been."""
        for path, writing in self._writing:
            if writing.done():
                self._writing.remove((path, writing))
                failure = writing.exception()
                return f"{failure}" if failure else f"Clip saved: {path}"
        return ""

    def close(self) -> None:
        """Finish what is being written."""
        self._aside.shutdown()

    def _new(self, kind: str) -> Path:
        clock = time.strftime("%Y-%m-%d_%H-%M-%S")
        path, more = self._folder / f"rtrecon_{clock}.{kind}", 1
        while path.exists() or any(path == writing for writing, _ in self._writing):
            more += 1
            path = self._folder / f"rtrecon_{clock}_{more}.{kind}"
        return path


def write_png(path: Path, picture: QPixmap) -> None:
    """Write or replace a PNG; whoever reads it never finds half of one.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    if not picture.save(str(unfinished), "PNG"):
        raise OSError("is the disk full?")
    unfinished.replace(path)


def _write_clip(path: Path, pairs: Sequence[Pair]) -> None:
    unfinished = path.with_name(f".{path.name}")  # its ending tells the format
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_movie(unfinished, side_by_side(pairs), rate_hz=RATE_HZ)
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"Clip {path} cannot be written: {error}") from None


def side_by_side(pairs: Sequence[Pair]) -> Array:
    """Return uint8 (n, height, width): each reconstruction, a gap, its stimulus.

    A stimulus that is not known is black; where none is, or they differ in shape, only
    the reconstruction.
    """
    made = np.stack([reconstruction for reconstruction, _ in pairs])
    shape = made.shape[1:]
    if not any(seen is not None and seen.shape == shape for _, seen in pairs):
        return made
    black = np.zeros(shape, np.uint8)
    stimuli = [
        seen if seen is not None and seen.shape == shape else black for _, seen in pairs
    ]
    gap = np.zeros((len(made), shape[0], _GAP_PX), np.uint8)
    return np.concatenate([made, gap, np.stack(stimuli)], axis=2)
