"""Video files: clips in, as the encoder sees them; reconstructed movies out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array


class VideoError(UserError):
    """A video that cannot be read or written; its text says which and why."""


def read_clip(
    path: Path | str,
    shape: tuple[int, int] = (36, 64),
    rate_hz: float = 30.0,
    max_s: float | None = None,
) -> Array:
    """Read a clip as the encoder sees it: uint8 (n, height, width), grey.

    Each image is cut about its centre to the aspect of `shape` and reduced by area
    averaging. Output frame k is the image nearest in time to k / rate_hz seconds:
    images are repeated or left out, never blended. Raises `VideoError`.
    """
    times: list[float] = []
    images: list[Array] = []
    for time_s, grey in _decoded(Path(path)):
        if max_s is not None and times and time_s - times[0] >= max_s:
            break
        times.append(time_s)
        images.append(_reduced(_cropped(grey, shape), shape))
    if not images:
        raise VideoError(f"{path} holds no image; is it a sound file?")
    return np.stack(images)[_nearest(np.array(times) - times[0], rate_hz)]


def write_movie(
    path: Path | str, frames: Array, rate_hz: float = 30.0, scale: int = 8
) -> None:
    """Write uint8 frames (n, height, width) as H.264, each pixel `scale` x `scale`.

    Pixels stay square blocks, so that nobody takes interpolation for detail; odd sides
    gain one repeated row or column, for the format wants even ones.
    """
    if frames.ndim != 3 or frames.dtype != np.uint8 or not frames.size:
        raise VideoError(
            f"cannot write {frames.dtype} frames of shape {list(frames.shape)}; "
            "a movie is uint8 (n, height, width) with at least one frame"
        )
    height, width = _even(frames.shape[1] * scale), _even(frames.shape[2] * scale)
    try:
        with av.open(str(path), "w") as movie:
            rate = Fraction(rate_hz).limit_denominator(1000)
            stream = movie.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in frames:
                image = _magnified(frame, scale)
                movie.mux(stream.encode(av.VideoFrame.from_ndarray(image, "gray")))
            movie.mux(stream.encode())
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"cannot write the movie {path}: {error}") from None


def _decoded(path: Path) -> Iterator[tuple[float, Array]]:
    """Yield (time in s, grey image) of every image in the file's first video stream."""
    if not path.is_file():
        raise VideoError(f"video {path} does not exist")
    try:
        with av.open(str(path)) as movie:
            if not movie.streams.video:
                return
            for i, frame in enumerate(movie.decode(video=0)):
                # Some containers carry no times; then images are a frame apart.
                step_s = 1.0 / float(movie.streams.video[0].average_rate or 30)
                time_s = i * step_s if frame.time is None else frame.time
                yield time_s, frame.to_ndarray(format="gray")
    except av.FFmpegError as error:
        raise VideoError(f"{path} cannot be read as video: {error}") from None


def _cropped(grey: Array, shape: tuple[int, int]) -> Array:
    """Cut a (height, width) image about its centre to the aspect of `shape`."""
    aspect = shape[1] / shape[0]
    height = min(grey.shape[0], round(grey.shape[1] / aspect))
    width = min(grey.shape[1], round(grey.shape[0] * aspect))
    top, left = (grey.shape[0] - height) // 2, (grey.shape[1] - width) // 2
    return np.ascontiguousarray(grey[top : top + height, left : left + width])


def _reduced(grey: Array, shape: tuple[int, int]) -> Array:
    image: Any = av.VideoFrame.from_ndarray(grey, "gray")
    small = image.reformat(
        width=shape[1], height=shape[0], format="gray", interpolation="AREA"
    )
    reduced: Array = small.to_ndarray()
    return reduced


def _nearest(times_s: Array, rate_hz: float) -> Array:
    """Return, for each output frame, which image lies nearest in time."""
    step_s = times_s[-1] / (len(times_s) - 1) if len(times_s) > 1 else 1.0 / rate_hz
    n_frames = max(1, round((times_s[-1] + step_s) * rate_hz))
    middles = (times_s[1:] + times_s[:-1]) / 2
    return np.searchsorted(middles, np.arange(n_frames) / rate_hz, side="right")


def _even(side: int) -> int:
    return side + side % 2


def _magnified(frame: Array, scale: int) -> Array:
    large = frame.repeat(scale, axis=0).repeat(scale, axis=1)
    odd = [(0, side % 2) for side in large.shape]
    return np.pad(large, odd, mode="edge")
