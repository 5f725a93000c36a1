"""Reads a film (mp4, avi, mov, ...) of a microscope as a recording: `Film`.

A film tells how fast it is shown, not how much time lay between its images: that is
asked for. Its images have 8 bits, and often colors; they become uint16 without loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.gray import describe_gray, has_colors, make_gray
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)
from rtrecon.sources.video import VideoError, iterate_color_images

_WARNING = (
    "a film is compressed: weak structures may be missing, and text in it, such as a "
    "clock or a scale bar, is read as part of the picture"
)


def open_film(path: Path, hints: RecordingHints) -> Recording:
    """Open a film; raises `RecordingError`."""
    return Film(path, hints)


class Film(Recording):
    """The images of a film, in order, at the rate that the hints give.

    Frames are numbered from 1. Raises `RecordingError`.
    """

    def __init__(self, path: Path, hints: RecordingHints) -> None:
        self.name, self._path = path.name, path
        self.rate_hz = self._resolve_rate_hz(hints)
        self.channels = hints.select_channels((1,))
        self.dtype = np.dtype(np.uint16)
        first = next(self._read_images(), None)
        if first is None:
            raise RecordingError("it contains no image; is it a sound file?")
        self.shape = (first.shape[0], first.shape[1])
        self._is_summed = has_colors(first)
        how = describe_gray(first.dtype, is_summed=self._is_summed)
        self.notice = f"{how}; {_WARNING}"

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the images; one of another size is an error."""
        for index, image in enumerate(self._read_images()):
            gray = make_gray(image, is_summed=self._is_summed)
            if gray.shape != self.shape:
                raise RecordingError(
                    f"{self.name}: image {index + 1} is {list(gray.shape)}, the first "
                    f"was {list(self.shape)}"
                )
            yield RecordedFrame(index + 1, index / self.rate_hz, gray)

    def close(self) -> None:
        """Do nothing: the file is open only while it is read."""

    def _read_images(self) -> Iterator[Array]:
        try:
            yield from iterate_color_images(self._path)
        except VideoError as error:
            raise RecordingError(str(error)) from None

    def _resolve_rate_hz(self, hints: RecordingHints) -> float:
        try:
            return hints.resolve_rate_hz(None)
        except RecordingError:
            raise RecordingError(
                "a film does not tell how much time lay between its images; give it "
                "with --interval-s (or --rate-hz)"
            ) from None
