"""Snaps a time-lapse with Micro-Manager: positions and channels at each moment.

Between two moments nothing is exposed: the cells get light for as long as an image
takes, while a streaming camera would need it all the time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtrecon.core.frame_intervals import format_interval
from rtrecon.core.types import Array
from rtrecon.interfaces.stage_positions import StagePosition
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import RecordedFrame, Recording, RecordingError

MAX_FAILURES = 3  # moments in a row without an image


@dataclass(frozen=True)
class TimeLapsePlan:
    """What is imaged: every interval_s, at each position, in each channel.

    positions: none = where the stage is. channels: presets of the channel group, none =
    as it is set. n_moments: None = until it is stopped.
    """

    interval_s: float
    positions: tuple[StagePosition, ...] = ()
    channels: tuple[str, ...] = ()
    channel_group: str = ""
    n_moments: int | None = None


class MicroManagerTimeLapse(Recording):
    """The images of a plan, one after the other; each position is a plane.

    Frames are numbered from 1 by moment; their time is that of the moment. An image
    that fails is left out and mentioned. Raises `RecordingError`.
    """

    def __init__(self, core: Any, plan: TimeLapsePlan) -> None:
        camera = core.getCameraDevice()
        if not camera:
            raise RecordingError("Micro-Manager's configuration has no camera")
        if not plan.interval_s > 0:
            raise RecordingError(f"an interval of {plan.interval_s:g} s is impossible")
        self._core, self._plan = core, plan
        self._group = self._find_channel_group()
        # Positions without z are imaged where the focus is now.
        has_z = any(position.z_um is not None for position in plan.positions)
        can_focus = has_z and core.getFocusDevice()
        self._start_z_um = float(core.getPosition()) if can_focus else None
        self.name = f"Micro-Manager camera {camera}"
        self.rate_hz = 1 / plan.interval_s
        self.channels = tuple(range(1, 1 + max(1, len(plan.channels))))
        self.planes = (0.0,) * max(1, len(plan.positions))
        first = self._snap(0, 0)
        self.shape = (first.shape[0], first.shape[1])
        self.dtype = choose_pixel_type(first.dtype, first)
        self.um_per_px = float(core.getPixelSizeUm()) or None
        self.meta = self._describe_plan()
        self._is_closed = False
        self._n_failures = 0  # moments in a row without any image

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the images of each moment, then wait for the next moment."""
        number, began_s = 0, time.monotonic()
        while not self._is_closed and number != self._plan.n_moments:
            number += 1
            t_s = time.monotonic() - began_s
            n_images = 0
            for frame in self._image_moment(number, t_s):
                n_images += 1
                yield frame
            self._n_failures = 0 if n_images else self._n_failures + 1
            if self._n_failures >= MAX_FAILURES:
                raise RecordingError(
                    f"{self.name} took no image at {MAX_FAILURES} moments; "
                    f"{self.notice}"
                )
            self._wait_for_next_moment(number, began_s)

    def close(self) -> None:
        """Take no further image."""
        self._is_closed = True

    def _image_moment(self, number: int, t_s: float) -> Iterator[RecordedFrame]:
        for plane in range(len(self.planes)):
            for channel in self.channels:
                try:
                    image = self._snap(plane, channel - 1)
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
                yield RecordedFrame(number, t_s, pixels, plane, channel)

    def _snap(self, plane: int, channel: int) -> Array:
        """Go to a position, set a channel, and take an image."""
        core, plan = self._core, self._plan
        if plan.positions:
            position = plan.positions[plane]
            core.setXYPosition(position.x_um, position.y_um)
            core.waitForDevice(core.getXYStageDevice())
            if self._start_z_um is not None:
                z_um = self._start_z_um if position.z_um is None else position.z_um
                core.setPosition(z_um)
                core.waitForDevice(core.getFocusDevice())
        if plan.channels:
            core.setConfig(self._group, plan.channels[channel])
            core.waitForConfig(self._group, plan.channels[channel])
        core.snapImage()
        image: Array = np.asarray(core.getImage())
        if image.ndim != 2:
            raise RecordingError(
                f"{self.name} takes images of shape {list(image.shape)}; only gray "
                "images (lines, pixels) can be read"
            )
        return image

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
        for channel in plan.channels:
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
            facts["channel_names"] = list(plan.channels)
        if plan.positions:
            facts["positions"] = [
                {"name": p.name, "x_um": p.x_um, "y_um": p.y_um, "z_um": p.z_um}
                for p in plan.positions
            ]
        return facts

    def _wait_for_next_moment(self, number: int, began_s: float) -> None:
        due_s = began_s + number * self._plan.interval_s
        late_s = time.monotonic() - due_s
        if late_s > 0:
            self.notice = (
                f"moment {number} took {format_interval(late_s)} longer than the "
                "interval; choose a longer one with --every"
            )
        if number != self._plan.n_moments:
            time.sleep(max(0.0, -late_s))
