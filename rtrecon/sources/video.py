"""Reads video clips as the encoder sees them, and writes reconstructed movies."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.stimulus_space.video import VIDEO

_GAP_PX = 2  # between two movies side by side


class VideoError(UserError):
    """A video cannot be read or written; the text names it and gives the reason."""


def read_clip(
    path: Path | str,
    shape: tuple[int, int] = VIDEO.shape,
    rate_hz: float = 30.0,
    max_s: float | None = None,
) -> Array:
    """Read a clip as the encoder sees it: grey, uint8 (n, height, width).

    Each image is cropped around its centre to the aspect ratio of `shape` (height,
    width) and reduced by area averaging. Output frame k is the image nearest in time to
    k / rate_hz seconds: images are repeated or left out, never blended. max_s: read at
    most so many seconds. Raises `VideoError`.
    """
    times: list[float] = []
    images: list[Array] = []
    for time_s, grey in _decode_images(Path(path)):
        if max_s is not None and times and time_s - times[0] >= max_s:
            break
        times.append(time_s)
        images.append(resize_picture(crop_to_aspect(grey, shape), shape))
    if not images:
        raise VideoError(f"{path} contains no image; is it a sound file?")
    return np.stack(images)[_find_nearest_images(np.array(times) - times[0], rate_hz)]


def read_picture(path: Path | str) -> Array:
    """Read a picture (or a video's first image): gray, uint8 (height, width).

    Raises `VideoError`.
    """
    for _, gray in _decode_images(Path(path)):
        return gray
    raise VideoError(f"{path} contains no image; give a picture")


def write_movie(
    path: Path | str, frames: Array, rate_hz: float = 30.0, scale: int = 8
) -> None:
    """Write uint8 frames (n, height, width) as H.264, each pixel `scale` x `scale`.

    Pixels stay square blocks, so that nobody mistakes interpolation for detail. An odd
    side gets one repeated row or column, because the format needs even sides. Raises
    `VideoError`.
    """
    if frames.ndim != 3 or frames.dtype != np.uint8 or not frames.size:
        raise VideoError(
            f"cannot write {frames.dtype} frames of shape {list(frames.shape)}; "
            "a movie is uint8 (n, height, width) with at least one frame"
        )
    height, width = (
        _round_up_to_even(frames.shape[1] * scale),
        _round_up_to_even(frames.shape[2] * scale),
    )
    try:
        with av.open(str(path), "w") as movie:
            rate = Fraction(rate_hz).limit_denominator(1000)
            stream = movie.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in frames:
                image = _magnify(frame, scale)
                movie.mux(stream.encode(av.VideoFrame.from_ndarray(image, "gray")))
            movie.mux(stream.encode())
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"cannot write the movie {path}: {error}") from None


def join_side_by_side(left: Array, right: Array) -> Array:
    """Return uint8 (n, height, 2 width + gap): two movies with a black gap between."""
    gap = np.zeros((*left.shape[:2], _GAP_PX), np.uint8)
    return np.concatenate([left, gap, right], axis=2)


def iterate_color_images(path: Path) -> Iterator[Array]:
    """Yield every image of a video, uint8 (height, width, 3): red, green and blue.

    Raises `VideoError`.
    """
    for _, image in _decode_images(path, "rgb24"):
        yield image


def _decode_images(
    path: Path, pixel_format: str = "gray"
) -> Iterator[tuple[float, Array]]:
    """Yield (time in s, image) of every image in the file's first video stream.

    pixel_format: as PyAV names it; grey, or red, green and blue.
    """
    if not path.is_file():
        raise VideoError(f"video {path} does not exist")
    try:
        with av.open(str(path)) as movie:
            if not movie.streams.video:
                return
            for i, frame in enumerate(movie.decode(video=0)):
                # Some containers store no times: images are one frame period apart.
                step_s = 1.0 / float(movie.streams.video[0].average_rate or 30)
                time_s = i * step_s if frame.time is None else frame.time
                yield time_s, frame.to_ndarray(format=pixel_format)
    except av.FFmpegError as error:
        raise VideoError(f"{path} cannot be read as video: {error}") from None


def crop_to_aspect(grey: Array, shape: tuple[int, int]) -> Array:
    """Crop a (height, width) image around its centre to the aspect ratio of `shape`."""
    aspect = shape[1] / shape[0]
    height = min(grey.shape[0], round(grey.shape[1] / aspect))
    width = min(grey.shape[1], round(grey.shape[0] * aspect))
    top, left = (grey.shape[0] - height) // 2, (grey.shape[1] - width) // 2
    return np.ascontiguousarray(grey[top : top + height, left : left + width])


def resize_picture(grey: Array, shape: tuple[int, int]) -> Array:
    """Return a uint8 image of this height and width, reduced by area averaging."""
    image: Any = av.VideoFrame.from_ndarray(grey, "gray")
    small = image.reformat(
        width=shape[1], height=shape[0], format="gray", interpolation="AREA"
    )
    reduced: Array = small.to_ndarray()
    return reduced


def _find_nearest_images(times_s: Array, rate_hz: float) -> Array:
    """Return for each output frame the index of the image nearest in time."""
    step_s = times_s[-1] / (len(times_s) - 1) if len(times_s) > 1 else 1.0 / rate_hz
    n_frames = max(1, round((times_s[-1] + step_s) * rate_hz))
    middles = (times_s[1:] + times_s[:-1]) / 2
    return np.searchsorted(middles, np.arange(n_frames) / rate_hz, side="right")


def _round_up_to_even(side: int) -> int:
    return side + side % 2


def _magnify(frame: Array, scale: int) -> Array:
    large = frame.repeat(scale, axis=0).repeat(scale, axis=1)
    odd = [(0, side % 2) for side in large.shape]
    return np.pad(large, odd, mode="edge")
