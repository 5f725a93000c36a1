"""Snaps a time-lapse with Micro-Manager: positions and channels at each moment.

Between two moments nothing is exposed: the cells get light for as long as an image
takes, while a streaming camera would need it all the time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rtrecon.core.frame_intervals import format_interval
from rtrecon.core.types import Array
from rtrecon.interfaces.focus_search import find_sharpest
from rtrecon.interfaces.moment_schedule import Moment, MomentSchedule, TimeLapsePlan
from rtrecon.interfaces.request_review import RequestReview
from rtrecon.interfaces.request_subscriber import RequestSubscriber
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import RecordedFrame, Recording, RecordingError

MAX_FAILURES = 3  # moments in a row without an image


def _ignore(_: str) -> None:
    """Do nothing with a sentence."""


class MicroManagerTimeLapse(Recording):
    """The images of a plan, one after the other; each position is a plane.

    Frames of each position are numbered from 1; their time is that of the moment. An
    image that fails is left out and mentioned. requests: of the rules of a daemon;
    `notify` is called with a sentence on each. Raises `RecordingError`.
    """

    def __init__(
        self,
        core: Any,
        plan: TimeLapsePlan,
        requests: RequestSubscriber | None = None,
        notify: Callable[[str], None] = _ignore,
    ) -> None:
        camera = core.getCameraDevice()
        if not camera:
            raise RecordingError("Micro-Manager's configuration has no camera")
        if not plan.interval_s > 0:
            raise RecordingError(f"an interval of {plan.interval_s:g} s is impossible")
        if plan.on_request and not plan.channels:
            raise RecordingError(
                "channels on request need channels that are imaged always; name them "
                "with --channels"
            )
        self._core, self._plan = core, plan
        self._requests, self._notify = requests, notify
        self._group = self._find_channel_group()
        can_focus = bool(core.getFocusDevice())
        self._heights_um = self._find_heights(can_focus)
        self.name = f"Micro-Manager camera {camera}"
        self.rate_hz = 1 / plan.interval_s
        self.channels = tuple(range(1, 1 + len(plan.all_channels)))
        self.planes = (0.0,) * plan.n_planes
        first = self._snap(0, 0)
        self.shape = (first.shape[0], first.shape[1])
        self.dtype = choose_pixel_type(first.dtype, first)
        self.um_per_px = float(core.getPixelSizeUm()) or None
        self.meta = self._describe_plan()
        self.review = RequestReview(plan, can_focus)
        self._is_closed = False
        self._n_failures = 0  # moments in a row without any image
        self._numbers: Counter[tuple[int, int]] = Counter()  # by plane and channel

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the images of each moment, then wait for the next moment."""
        schedule, began_s = MomentSchedule(self._plan), time.monotonic()
        while not self._is_closed:
            moment = self._wait_for_moment(schedule, began_s)
            if moment is None:
                return
            n_images = 0
            for frame in self._image_moment(moment, time.monotonic() - began_s):
                n_images += 1
                yield frame
            schedule.finish(moment)
            self._count_failures(moment, n_images)

    def close(self) -> None:
        """Take no further image."""
        self._is_closed = True
        if self._requests:
            self._requests.close()
            self._requests = None

    def _wait_for_moment(
        self, schedule: MomentSchedule, began_s: float
    ) -> Moment | None:
        """Decide on requests until the next moment is due; return that moment."""
        while moment := schedule.find_next():
            left_s = moment.due_s - (time.monotonic() - began_s)
            if self._requests is None:
                time.sleep(max(0.0, left_s))
                requested = []
            else:
                requested = self._requests.wait(max(0.0, left_s))
            for request in requested:
                exposure_s = float(self._core.getExposure()) / 1000
                clock = time.monotonic() - began_s, exposure_s
                self._report(self.review.decide(request, schedule, clock))
            if not requested:
                self._mention_delay(moment, -left_s)
                return moment
        return None

    def _report(self, sentence: str) -> None:
        """Say a sentence to the user, and in the recording of the daemon."""
        self._notify(sentence)
        if self._requests and (failure := self._requests.note(sentence)):
            self._notify(f"the recording does not say so: {failure}")

    def _count_failures(self, moment: Moment, n_images: int) -> None:
        if not moment.channels:
            return
        self._n_failures = 0 if n_images else self._n_failures + 1
        if self._n_failures >= MAX_FAILURES:
            raise RecordingError(
                f"{self.name} took no image at {MAX_FAILURES} moments; {self.notice}"
            )

    def _image_moment(self, moment: Moment, t_s: float) -> Iterator[RecordedFrame]:
        for plane in moment.planes:
            if moment.refocus:
                self._refocus(plane)
            for channel in moment.channels:
                self._numbers[plane, channel] += 1
                number = self._numbers[plane, channel]
                try:
                    image = self._snap(plane, channel)
                except RecordingError:
                    raise
                except Exception as error:  # drivers raise exceptions of many types
                    self.notice = f"frame {number} is missing: {error}"
                    continue
                if image.shape != self.shape:
                    raise RecordingError(
                        f"{self.name}: frame {number} is {list(image.shape)}, the "
                        f"first was {list(self.shape)}; was the binning changed? "
                        "Start again"
                    )
                name = f"{self.name}: frame {number}"
                pixels = convert_pixels(image, self.dtype, name)
                yield RecordedFrame(number, t_s, pixels, plane, channel + 1)

    def _refocus(self, plane: int) -> None:
        """Search for the sharpest plane of a position, in the first channel."""
        start_um = self._heights_um[plane]
        if start_um is None:
            start_um = float(self._core.getPosition())

        def take_image(height_um: float) -> Array:
            self._heights_um[plane] = height_um
            return self._snap(plane, 0)

        try:
            height_um = find_sharpest(take_image, start_um)
        except RecordingError:
            raise
        except Exception as error:  # drivers raise exceptions of many types
            self._heights_um[plane] = start_um
            self._report(f"position {plane + 1} is not refocused: {error}")
            return
        self._heights_um[plane] = height_um
        self._report(
            f"position {plane + 1} is refocused by {height_um - start_um:+.1f} um"
        )

    def _snap(self, plane: int, channel: int) -> Array:
        """Go to a position, set a channel, and take an image."""
        core, plan = self._core, self._plan
        if plan.positions:
            position = plan.positions[plane]
            core.setXYPosition(position.x_um, position.y_um)
            core.waitForDevice(core.getXYStageDevice())
        height_um = self._heights_um[plane]
        if height_um is not None:
            core.setPosition(height_um)
            core.waitForDevice(core.getFocusDevice())
        if plan.channels:
            preset = plan.all_channels[channel]
            core.setConfig(self._group, preset)
            core.waitForConfig(self._group, preset)
        core.snapImage()
        image: Array = np.asarray(core.getImage())
        if image.ndim != 2:
            raise RecordingError(
                f"{self.name} takes images of shape {list(image.shape)}; only gray "
                "images (lines, pixels) can be read"
            )
        return image

    def _find_heights(self, can_focus: bool) -> list[float | None]:
        """Return z of each position in um; None = the focus stays where it is.

        Positions without z are imaged where the focus is now, if others have one.
        """
        positions = self._plan.positions
        has_z = any(position.z_um is not None for position in positions)
        if not (has_z and can_focus):
            return [None] * self._plan.n_planes
        start_um = float(self._core.getPosition())
        return [start_um if p.z_um is None else p.z_um for p in positions]

    def _find_channel_group(self) -> str:
        """Return the group that has the plan's channels; `RecordingError` if none."""
        core, plan = self._core, self._plan
        if not plan.channels:
            return ""
        group = plan.channel_group or core.getChannelGroup()
        groups = tuple(core.getAvailableConfigGroups())
        if group not in groups:
            raise RecordingError(
                f"the configuration has no group '{group}' of channels; groups: "
                f"{', '.join(groups) or 'none'} (choose one with --channel-group)"
            )
        presets = tuple(core.getAvailableConfigs(group))
        for channel in plan.all_channels:
            if channel not in presets:
                raise RecordingError(
                    f"group '{group}' has no channel '{channel}'; channels: "
                    f"{', '.join(presets) or 'none'}"
                )
        return str(group)

    def _describe_plan(self) -> dict[str, Any]:
        plan = self._plan
        facts: dict[str, Any] = {}
        if plan.channels:
            facts["channel_names"] = list(plan.all_channels)
        if plan.positions:
            facts["positions"] = [
                {"name": p.name, "x_um": p.x_um, "y_um": p.y_um, "z_um": p.z_um}
                for p in plan.positions
            ]
        return facts

    def _mention_delay(self, moment: Moment, late_s: float) -> None:
        """Say so where the moment before took longer than the interval."""
        if moment.is_planned and late_s > 0 and moment.due_s > 0:
            self.notice = (
                f"a moment began {format_interval(late_s)} late, because the one "
                "before took longer than the interval; choose a longer one with --every"
            )
