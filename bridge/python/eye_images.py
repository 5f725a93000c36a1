"""Read the images of an eye camera, or of a film of one. Needs numpy, not rtrecon.

A camera needs OpenCV, a film PyAV.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class CameraError(Exception):
    """The camera or film cannot be read; the text says what to do."""


@dataclass(frozen=True)
class EyeImage:
    """An image: its number from 1, its time by time.time(), its gray levels."""

    number: int
    time_s: float
    pixels: np.ndarray  # uint8 (height, width)


def read_camera(number: int) -> Iterator[EyeImage]:
    """Yield the images of a camera of this computer as they arrive."""
    try:
        import cv2
    except ImportError:
        raise CameraError(
            "a camera needs OpenCV; install it with: pip install "
            "opencv-python-headless (or 'rtrecon[camera]')"
        ) from None
    yield from read_capture(cv2.VideoCapture(number), f"camera {number}", cv2)


def read_capture(capture: object, name: str, cv2: object) -> Iterator[EyeImage]:
    """Yield the images of an open capture of OpenCV."""
    try:
        if not capture.isOpened():
            raise CameraError(
                f"{name} cannot be opened: is it connected, and does no other program "
                "use it?"
            )
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no old images, where it is possible
        count = 0
        while capture.grab():
            time_s = time.time()  # before the image is decoded
            is_read, pixels = capture.retrieve()
            if not is_read:
                return
            count += 1
            if pixels.ndim == 3:
                pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
            yield EyeImage(count, time_s, pixels)
    finally:
        capture.release()


def read_film(path: Path, speed: float = 1.0) -> Iterator[EyeImage]:
    """Yield the images of a film when a camera would; speed 0 = at once."""
    try:
        import av
    except ImportError:
        raise CameraError(
            "a film needs PyAV; install it with: pip install av"
        ) from None
    if not path.is_file():
        raise CameraError(f"there is no film {path}; a camera is a number, such as 0")
    began_s = time.time()
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                raise CameraError(f"{path} contains no image; is it a sound file?")
            rate_hz = float(film.streams.video[0].average_rate or 30)
            for index, frame in enumerate(film.decode(video=0)):
                due_s = began_s + (index / (rate_hz * speed) if speed else 0.0)
                time.sleep(max(0.0, due_s - time.time()))
                yield EyeImage(index + 1, time.time(), frame.to_ndarray(format="gray"))
    except av.FFmpegError as error:
        raise CameraError(f"{path} cannot be read as a film: {error}") from None
