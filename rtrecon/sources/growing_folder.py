"""Follows a folder into which a time-lapse writes one file per moment.

MetaMorph, Micro-Manager and others write a new TIFF file for each moment, channel and
stage position. A file that is only half written is waited for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from rtrecon.core.frame_intervals import extend_timeout
from rtrecon.core.types import Array
from rtrecon.sources.gray import describe_gray, has_colors, is_color, make_gray
from rtrecon.sources.growing_tiff import SILENT_INTERVALS, FollowedTiff
from rtrecon.sources.moment_file import MomentImages, read_moment
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)
from rtrecon.sources.series_names import SeriesFile, is_stack_name, parse_file_name

POLL_S = 0.2  # between two looks into the folder
# The channels of the first moment are those of the session; they come shortly after
# each other.
SETTLE_S = 5.0
# A file that has not grown for this long and cannot be read is damaged.
MAX_UNREADABLE_S = 60.0
_N_RATE_FILES = 9
_SUFFIXES = (".tif", ".tiff")
_THUMBNAIL = "_thumb"  # in the names of small copies that MetaMorph writes


def open_followed_folder(
    folder: Path, hints: RecordingHints, timeout_s: float
) -> Recording:
    """Follow the time-lapse that is written into a folder.

    Its files are one per moment, or the growing stack of Micro-Manager. Raises
    `RecordingError`.
    """
    stacks = sorted(path for path in folder.glob("*.tif*") if is_stack_name(path))
    if stacks:
        return FollowedTiff(stacks[0], hints, timeout_s)
    return FollowedFolder(folder, hints, timeout_s)


class FollowedFolder(Recording):
    """The files of one time-lapse in a folder, in the order of their numbers.

    Files that exist already are read first. Ends if no file appears for `timeout_s`, or
    for six intervals. One stage position is read, that of the hints or the first, and
    the channels of its first moment. A frame has the number of its file. Raises
    `RecordingError`.
    """

    def __init__(self, folder: Path, hints: RecordingHints, timeout_s: float) -> None:
        self.name, self.notice = f"files in {folder}", ""
        self._folder, self._hints, self._timeout_s = folder, hints, timeout_s
        self._read_names: set[str] = set()
        self._position, self._series = hints.position, ""
        self._unreadable_since_s: dict[tuple[str, int], float] = {}
        files = self._wait_for_first_moment()
        moments = [read_moment(file) for file in files]
        first = moments[0]
        assert first is not None
        self._is_summed: bool | None = None  # colors; None = gray
        self._describe_choice(files, first)
        saved = {channel for moment in moments if moment for channel in moment.images}
        self.channels = hints.select_channels(tuple(sorted(saved)))
        image = next(iter(first.images.values()))
        if is_color(image):
            self._is_summed = has_colors(image)
            gray = describe_gray(image.dtype, is_summed=self._is_summed)
            self._add_notice(gray)
        image = self._make_gray(image)
        self.shape = (image.shape[0], image.shape[1])
        self.dtype = choose_pixel_type(image.dtype, image)
        self.um_per_px = hints.um_per_px or first.um_per_px
        self.rate_hz = self._resolve_rate_hz(first)
        self._first_s = first.t_s
        self._first_number = files[0].counters[-1] if files[0].counters else 0
        self._newest_number, self._newest_s = -1, -math.inf

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the images of the files as they appear, until no more do."""
        last_file_s = time.monotonic()
        timeout_s = extend_timeout(self._timeout_s, self.rate_hz, SILENT_INTERVALS)
        while time.monotonic() - last_file_s < timeout_s:
            for file in self._list_new_files():
                moment = read_moment(file)
                if moment is None and not self._is_damaged(file):
                    break  # half written: files after it are not read first
                self._read_names.add(file.path.name)
                last_file_s = time.monotonic()
                if moment is None:
                    self._add_notice(f"{file.path.name} is damaged and was left out")
                else:
                    yield from self._build_frames(file, moment)
            time.sleep(POLL_S)

    def close(self) -> None:
        """Do nothing: files are open only while they are read."""

    # -- files -------------------------------------------------------------------------

    def _list_new_files(self) -> list[SeriesFile]:
        """Return the files that are not read yet, of this series, in order."""
        try:
            paths = list(self._folder.iterdir())
        except OSError as error:
            raise RecordingError(f"{self._folder} cannot be read: {error}") from None
        files = [
            parse_file_name(path)
            for path in paths
            if path.suffix.lower() in _SUFFIXES
            and path.name not in self._read_names
            and not path.name.startswith(".")
            and _THUMBNAIL not in path.stem.lower()
        ]
        if self._position is not None:
            files = [file for file in files if file.position == self._position]
        if self._series:
            files = [file for file in files if file.name == self._series]
        return sorted(files, key=_get_order)

    def _wait_for_first_moment(self) -> list[SeriesFile]:
        """Return the files of the first moment; waits until their channels are there.

        The first file of the list can be read.
        """
        deadline_s = time.monotonic() + max(self._timeout_s, SETTLE_S)
        settled_s: float | None = None
        n_files = 0
        while time.monotonic() < deadline_s or settled_s is not None:
            files = self._choose_series(self._list_new_files())
            same = [file for file in files if file.counters == files[0].counters]
            if len(files) != n_files or settled_s is None:
                is_whole = bool(files) and read_moment(files[0]) is not None
                settled_s = time.monotonic() + SETTLE_S if is_whole else None
                n_files = len(files)
            has_next = len(same) < len(files)
            if settled_s is not None and (has_next or time.monotonic() > settled_s):
                return same
            time.sleep(POLL_S)
        raise RecordingError(
            f"no readable TIFF file appeared in {self._folder} within "
            f"{self._timeout_s:g} s; start the acquisition earlier, or wait longer "
            "with --timeout"
        )

    def _choose_series(self, files: list[SeriesFile]) -> list[SeriesFile]:
        """Return the files of one stage position and one name: those of the first."""
        if not files:
            return []
        first = files[0]
        return [file for file in files if file.name == first.name]

    def _describe_choice(self, files: list[SeriesFile], first: MomentImages) -> None:
        """Remember which series is read, and tell the user what else there is."""
        if first.n_planes > 1:
            self._add_notice(f"the first of {first.n_planes} planes is read")
        every = self._list_new_files()
        self._series = files[0].name
        others = {file.name for file in every} - {self._series}
        positions = {file.position for file in every if file.position is not None}
        if files[0].position is not None and len(positions) > 1:
            self._position = files[0].position
            self._add_notice(
                f"{self._folder} holds stage positions "
                f"{', '.join(map(str, sorted(positions)))}; position "
                f"{files[0].position} is read (choose another with --position)"
            )
        elif others:
            self._add_notice(
                f"{self._folder} holds {1 + len(others)} series of files; "
                f"{files[0].path.name} and what follows it are read"
            )

    # -- images ------------------------------------------------------------------------

    def _is_damaged(self, file: SeriesFile) -> bool:
        """Return whether an unreadable file has not grown for a minute."""
        try:
            key = file.path.name, file.path.stat().st_size
        except OSError:  # it is gone
            return True
        since_s = self._unreadable_since_s.setdefault(key, time.monotonic())
        return time.monotonic() - since_s > MAX_UNREADABLE_S

    def _make_gray(self, image: Array) -> Array:
        if self._is_summed is None or not is_color(image):
            return image
        return make_gray(image, is_summed=self._is_summed)

    def _build_frames(
        self, file: SeriesFile, moment: MomentImages
    ) -> Iterator[RecordedFrame]:
        name = file.path.name
        number = file.counters[-1] if file.counters else 0
        if number != self._newest_number:
            self._newest_number = number
            self._newest_s = self._find_time(number, moment.t_s)
        for channel in sorted(set(moment.images) & set(self.channels)):
            image = self._make_gray(moment.images[channel])
            if image.shape != self.shape:
                raise RecordingError(
                    f"{name} is {list(image.shape)}, the first file was "
                    f"{list(self.shape)}; was the binning or the field changed? Follow "
                    "what comes next as another recording"
                )
            pixels = convert_pixels(image, self.dtype, name)
            yield RecordedFrame(number, self._newest_s, pixels, channel=channel)

    def _find_time(self, number: int, t_s: float | None) -> float:
        """Return the time of a frame: as its file tells it, or by its number."""
        by_number_s = (number - self._first_number) / self.rate_hz
        if self._hints.rate_hz or t_s is None or self._first_s is None:
            return by_number_s
        found_s = t_s - self._first_s
        if found_s > self._newest_s:
            return found_s
        self._add_notice(f"the clock of the files goes back at frame {number}")
        return self._newest_s + 1 / self.rate_hz

    def _resolve_rate_hz(self, first: MomentImages) -> float:
        stored_hz = first.rate_hz or self._measure_rate()
        try:
            return self._hints.resolve_rate_hz(stored_hz)
        except RecordingError:
            raise RecordingError(
                f"{self._folder}: the first file does not tell the interval of the "
                "time-lapse; give it in seconds with --interval-s"
            ) from None

    def _measure_rate(self) -> float | None:
        """Return the rate of the files that exist already; None if there is one."""
        by_counters = {file.counters: file for file in self._list_new_files()}
        moments = map(read_moment, islice(by_counters.values(), _N_RATE_FILES))
        times_s = [m.t_s for m in moments if m is not None and m.t_s is not None]
        steps_s = np.diff(times_s)
        steps_s = steps_s[steps_s > 0]
        return 1 / float(np.median(steps_s)) if len(steps_s) else None

    def _add_notice(self, notice: str) -> None:
        self.notice = "; ".join(filter(None, [self.notice, notice]))


def _get_order(file: SeriesFile) -> tuple[object, ...]:
    return file.counters, file.position or 0, file.plane or 0, file.channel or 0
