"""Writes a time-lapse video of a dish, picture by picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.video import VideoError

_MIN_SIDE_PX = 768  # smaller pictures are magnified


class OverlayMovie:
    """A video that grows by colour pictures, uint8 (lines, pixels, 3).

    Raises `VideoError` where the file cannot be written.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        self._path, self._rate_hz = path, rate_hz
        self._movie: Any = None
        self._stream: Any = None
        self._scale = 1

    def add_picture(self, picture: Array) -> None:
        """Write one more picture; all have the size of the first."""
        try:
            if self._movie is None:
                self._open(picture.shape)
            large = picture.repeat(self._scale, axis=0).repeat(self._scale, axis=1)
            odd = [(0, large.shape[0] % 2), (0, large.shape[1] % 2), (0, 0)]
            frame = av.VideoFrame.from_ndarray(np.pad(large, odd, mode="edge"), "rgb24")
            self._movie.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"cannot write the movie {self._path}: {error}") from None

    def close(self) -> None:
        """Finish the file; nothing is written where no picture was added."""
        if self._movie is not None:
            self._movie.mux(self._stream.encode())
            self._movie.close()
            self._movie = None

    def _open(self, shape: tuple[int, ...]) -> None:
        self._scale = max(1, round(_MIN_SIDE_PX / min(shape[:2])))
        height, width = (n * self._scale for n in shape[:2])
        self._movie = av.open(str(self._path), "w")
        rate = Fraction(self._rate_hz).limit_denominator(1000)
        self._stream = self._movie.add_stream("libx264", rate=rate)
        self._stream.width = width + width % 2
        self._stream.height = height + height % 2
        self._stream.pix_fmt = "yuv420p"
