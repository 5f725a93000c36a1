"""Track the pupil with an eye camera and send it to rtrecon, without needing rtrecon.

    python camera.py 0                      camera 0 of this computer
    python camera.py 0 --bright             the pupil is brighter than the iris
    python camera.py eye.mp4                a film, at its own speed
    python camera.py 0 --snapshot eye.png   a picture, each second, with what was found

Needs numpy, scipy and pyzmq; for a camera OpenCV (pip install opencv-python-headless),
for a film PyAV (pip install av). Positions and diameter are in pixels of the camera's
image. Where no pupil is seen, as in a blink, the sample has no pupil: rtrecon then uses
the last one, and the recording shows the gap. Running is not read here: a wheel with an
encoder knows it better than a camera.
"""

from __future__ import annotations

import argparse
import signal
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from ellipse import Ellipse, turn
from eye_images import CameraError, EyeImage, read_camera, read_film
from pupil import Limits, find_pupil
from sender import MessageSender

REPORT_S = 1.0
LATE_SHARE = 1.6  # of the usual time between two images; a longer one missed some
Region = tuple[int, int, int, int]  # left, top, width, height


class BehaviorSender(MessageSender):
    """Sends what is known of the pupil."""

    def send_pupil(self, image: EyeImage, pupil: Ellipse | None) -> None:
        """Send a sample; without a pupil, only that the camera saw none."""
        header = {"type": "behavior", "t_send": image.time_s, "frame": image.number}
        if pupil is not None:
            header |= {"pupil_dilation": pupil.diameter}
            header |= {"pupil_x": pupil.x, "pupil_y": pupil.y}
        self.send(header)


class PupilReport:
    """Counts what was seen since the last report, and over all."""

    def __init__(self) -> None:
        self.n_images = self.n_pupils = self.n_missed = 0
        self._reasons: Counter[str] = Counter()
        self._intervals_s: list[float] = []
        self._last_s: float | None = None
        self._reported = 0, 0, time.monotonic()

    def add(self, image: EyeImage, found: Ellipse | str) -> None:
        """Add what was found in an image."""
        self.n_images += 1
        self._count_missed(image.time_s)
        if isinstance(found, str):
            self._reasons[found] += 1
        else:
            self.n_pupils += 1

    def take_sentence(self) -> str | None:
        """Return a report if a second has passed; else None."""
        n_images, n_pupils, since_s = self._reported
        span_s = time.monotonic() - since_s
        if span_s < REPORT_S:
            return None
        self._reported = self.n_images, self.n_pupils, time.monotonic()
        seen = self.n_pupils - n_pupils
        sentence = f"{(self.n_images - n_images) / span_s:.1f} images per second, "
        sentence += f"{seen} with a pupil"
        reasons, self._reasons = self._reasons, Counter()
        for reason, count in reasons.most_common(1):
            sentence += f"; in {count}: {reason}"
        return sentence

    def _count_missed(self, time_s: float) -> None:
        last_s, self._last_s = self._last_s, time_s
        if last_s is None:
            return
        interval_s = time_s - last_s
        usual_s = float(np.median(self._intervals_s or [interval_s]))
        if usual_s > 0 and interval_s > LATE_SHARE * usual_s:
            self.n_missed += round(interval_s / usual_s) - 1
        self._intervals_s = [*self._intervals_s[-99:], interval_s]


def cut_region(pixels: np.ndarray, region: Region | None) -> np.ndarray:
    """Return the part of an image in which the eye lies."""
    if region is None:
        return pixels
    left, top, width, height = region
    if left + width > pixels.shape[1] or top + height > pixels.shape[0]:
        raise CameraError(
            f"the region {left},{top},{width},{height} reaches beyond the image of "
            f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
        )
    return pixels[top : top + height, left : left + width]


def locate_pupil(
    pixels: np.ndarray, region: Region | None, limits: Limits
) -> Ellipse | str:
    """Return the pupil in the region, in pixels of the whole image, or a reason."""
    found = find_pupil(cut_region(pixels, region), limits)
    if isinstance(found, str) or region is None:
        return found
    return replace(found, x=found.x + region[0], y=found.y + region[1])


def write_snapshot(path: Path, pixels: np.ndarray, found: Ellipse | str) -> None:
    """Write the image as a PNG file, with the ellipse that was found."""
    picture = np.repeat(pixels[:, :, None], 3, axis=2)
    if not isinstance(found, str):
        y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
        along, across = turn(x - found.x, y - found.y, found)
        a, b = (axis / 2 for axis in found.axes)
        radius = np.hypot(along / a, across / b)
        picture[np.abs(radius - 1) * min(a, b) < 0.7] = (255, 80, 0)
    rows = np.pad(picture.reshape(len(picture), -1), ((0, 0), (1, 0)))
    header = struct.pack(">2I5B", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in chunks:
        check = struct.pack(">I", zlib.crc32(kind + content))
        data += struct.pack(">I", len(content)) + kind + content + check
    path.write_bytes(data)


def parse_region(text: str) -> Region:
    """Parse 'left,top,width,height'."""
    numbers = [int(part) for part in text.split(",")]
    if len(numbers) != 4 or min(numbers) < 0 or min(numbers[2:]) < 8:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no region; write left,top,width,height, such as "
            "100,80,320,240"
        )
    return numbers[0], numbers[1], numbers[2], numbers[3]


def track(
    images: Iterator[EyeImage],
    sender: BehaviorSender,
    options: argparse.Namespace,
    report: PupilReport,
) -> None:
    """Send the pupil of each image, and print how it goes once a second."""
    limits = Limits(
        is_bright=options.bright,
        threshold=options.threshold,
        min_px=options.min_px,
        max_px=options.max_px,
    )
    for image in images:
        found = locate_pupil(image.pixels, options.region, limits)
        sender.send_pupil(image, None if isinstance(found, str) else found)
        report.add(image, found)
        if sentence := report.take_sentence():
            print(sentence, flush=True)
            if options.snapshot:
                write_snapshot(options.snapshot, image.pixels, found)


def main() -> None:
    """Track the pupil until the film ends or Ctrl-C is pressed."""
    parser = argparse.ArgumentParser(
        description="Send the pupil that an eye camera sees to rtrecon."
    )
    parser.add_argument("source", help="number of the camera, or a film")
    parser.add_argument("--address", default="tcp://127.0.0.1:5560")
    parser.add_argument("--keys", type=Path, help="folder from `rtrecon keys`")
    parser.add_argument("--bright", action="store_true", help="the pupil is bright")
    parser.add_argument(
        "--region", type=parse_region, help="part with the eye: left,top,width,height"
    )
    parser.add_argument(
        "--threshold", type=float, help="level between pupil and iris, 0 to 255"
    )
    parser.add_argument("--min-px", type=float, help="smallest diameter")
    parser.add_argument("--max-px", type=float, help="largest diameter")
    parser.add_argument("--snapshot", type=Path, help="PNG file, written each second")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="of a film; 0 = as fast as possible"
    )
    parser.add_argument(
        "--wait", type=float, default=5.0, help="seconds to wait for a daemon"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sender = BehaviorSender(options.address, options.keys)
    try:
        if not sender.wait_for_daemon(options.wait):
            print(f"no daemon at {options.address} yet; samples are lost until then")
        if options.source.isdecimal():
            images = read_camera(int(options.source))
        else:
            images = read_film(Path(options.source), options.speed)
        report = PupilReport()
        with suppress(KeyboardInterrupt):
            track(images, sender, options, report)
    except CameraError as error:
        sys.exit(str(error))
    finally:
        sender.close()
    print(
        f"{report.n_images} images, {report.n_pupils} with a pupil; {report.n_missed} "
        f"images missed by the camera; {sender.n_dropped} samples lost"
    )


if __name__ == "__main__":
    main()
