"""All planes of a session as one: their progress, references and saved state."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.daemon.dish_facts import find_um_per_px
from rtrecon.daemon.field_neurons import FieldNeurons, get_rate_unit
from rtrecon.daemon.image_plane import ImagePlane
from rtrecon.daemon.plane import (
    OnError,
    Plane,
    PlaneFrame,
    ProcessedFrame,
    RestartablePlane,
)
from rtrecon.daemon.queue_limits import QueueLimits
from rtrecon.daemon.spike_plane import SpikePlane
from rtrecon.daemon.state_checkpointer import StateCheckpointer
from rtrecon.encoder.card import RATE_UNITS
from rtrecon.imaging.reference import StoredField
from rtrecon.imaging.timing.frame_rate import FrameRateMeter
from rtrecon.protocol import messages

if TYPE_CHECKING:
    from rtrecon.daemon.dish_plane import DishPlane


class PlaneSet:
    """The planes of one session; references are built in one background thread.

    on_error: called with an exception that a plane survives. n_channels: images that
    are used of each frame.
    """

    def __init__(
        self,
        start: messages.SessionStart,
        field: FieldNeurons,
        settings: Settings,
        on_error: OnError,
        n_channels: int = 1,
    ) -> None:
        self._background = ThreadPoolExecutor(1, "reference")
        self._checkpointer = StateCheckpointer(
            settings, self._background, start.rate_hz
        )
        self._resumed_t0_s: float | None = None
        self._notices: list[str] = []
        self._image_planes: list[ImagePlane] = []
        self._dish_planes: list[DishPlane] = []
        self._planes: list[Plane] = []
        rate_hz = start.rate_hz
        self._rate_meter = FrameRateMeter(rate_hz)
        if settings.dish.enabled:
            self._dish_planes = self._make_dish_planes(start, settings, on_error)
            self._planes += self._dish_planes
        elif not start.has_unit_rates:
            limits = QueueLimits.for_session(start, n_channels, settings)
            self._image_planes = [
                ImagePlane(
                    stored, rate_hz, settings, self._background, limits, on_error
                )
                for stored in _split_by_plane(field)
            ]
            self._planes += self._image_planes
            shortage = limits.describe_shortage(start)
            if shortage and self.is_calibrating:
                self._notices.append(shortage)
        else:
            encoder_rate_hz = settings.timing.encoder_rate_hz
            is_count = get_rate_unit(start) == RATE_UNITS
            rates_hz = rate_hz, encoder_rate_hz
            self._planes.append(SpikePlane(field.rois, *rates_hz, is_count=is_count))

    def _make_dish_planes(
        self, start: messages.SessionStart, settings: Settings, on_error: OnError
    ) -> list[DishPlane]:
        """Return one plane per stage position; UserError if the scale is unknown."""
        from rtrecon.daemon.dish_plane import DishPlane

        um_per_px = find_um_per_px(start, settings)
        film = settings.dish.describe_film(um_per_px, 1 / start.rate_hz)
        limits = QueueLimits.for_session(start, 1, settings)
        return [
            DishPlane(
                start.shape,
                film,
                settings,
                self._background,
                limits.max_queued,
                on_error,
            )
            for _ in start.planes
        ]

    def __len__(self) -> int:
        return len(self._planes)

    @property
    def rate_hz(self) -> float:
        """Frames of each plane per second: as announced, until they were measured."""
        return self._rate_meter.rate_hz

    @property
    def is_calibrating(self) -> bool:
        """Whether any plane collects frames for its reference."""
        return any(plane.is_calibrating for plane in self._planes)

    @property
    def is_building_reference(self) -> bool:
        """Whether the reference of any plane is being built."""
        return any(plane.is_building_reference for plane in self._planes)

    @property
    def n_queued(self) -> int:
        """Number of frames that were received but not processed yet."""
        return sum(plane.n_queued for plane in self._planes)

    @property
    def n_queued_images(self) -> int:
        """Number of images of these frames: a frame has one or two."""
        return sum(plane.n_queued_images for plane in self._planes)

    @property
    def is_queue_full(self) -> bool:
        """Whether the next frame could make a plane drop its oldest one."""
        return any(plane.is_queue_full for plane in self._planes)

    @property
    def n_unusable(self) -> int:
        """Number of images from which no reference could be built."""
        return sum(plane.n_unusable for plane in self._planes)

    def preview_dish(
        self, index: int, body_um: float, sensitivity: float
    ) -> dict[str, Any] | None:
        """Return what other settings find in the newest picture of a dish.

        None while the picture is being traced. Raises `UserError` if that is
        impossible.
        """
        return self._find_dish_plane(index).preview(body_um, sensitivity)

    def _find_dish_plane(self, index: int) -> DishPlane:
        if not 0 <= index < len(self._dish_planes):
            raise UserError(
                f"there is no such picture: the session has {len(self._dish_planes)} "
                "stage positions of a dish"
            )
        return self._dish_planes[index]

    def reassign_neurite(self, place: tuple[int, float, float], number: int) -> str:
        """Give the neurite at a position of a dish to a neuron; return a sentence.

        place: plane, y and x in px. Raises `UserError` if that is impossible.
        """
        index, y, x = place
        sentence = self._find_dish_plane(index).reassign_neurite(y, x, number)
        if len(self._dish_planes) > 1:
            return f"position {index + 1}: {sentence}"
        return sentence

    def start_session(self, first_frame_s: float) -> float:
        """Start with the first received frame; return t0 of the session (s)."""
        resumed_s = self._resumed_t0_s
        t0_s = first_frame_s if resumed_s is None else resumed_s
        for plane in self._planes:
            plane.start_session(t0_s, first_frame_s)
        return t0_s

    def add_frame(self, number: int, frame: PlaneFrame) -> list[ProcessedFrame]:
        """Give a plane one frame; return what it could process, oldest first."""
        message = frame.message
        if number == 0 and self._rate_meter.add_frame(message.frame, message.t):
            for plane in self._planes:
                plane.set_rate(self.rate_hz)
        return self._planes[number].add_frame(frame)

    def process_pending(self, number: int, is_ending: bool) -> list[ProcessedFrame]:
        """Let a plane process some of its queued frames, if it has any."""
        plane = self._planes[number]
        return plane.process_pending(is_ending=is_ending) if plane.n_queued else []

    def save_if_due(self, folder: Path, now_s: float) -> None:
        """Save what a restart needs, in the background, when it is due."""
        self._checkpointer.save_if_due(folder, self._restartable_planes(), now_s)

    def resume(self, folder: Path) -> None:
        """Continue from the state that an earlier daemon saved in `folder`."""
        try:
            starts_s = [
                plane.resume(folder, number)
                for number, plane in enumerate(self._restartable_planes())
            ]
        except UserError as error:
            self.renew_references()
            self._notices.append(str(error))
            return
        self._resumed_t0_s = starts_s[0]
        self._notices.append(f"the session continues from {folder.name}")

    def _restartable_planes(self) -> Sequence[RestartablePlane]:
        return self._dish_planes or self._image_planes

    def renew_references(self) -> None:
        """Build new references from the next frames."""
        for plane in self._planes:
            plane.renew_reference()

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        notices, self._notices = self._notices, []
        notices += self._rate_meter.take_notices()
        notices += self._checkpointer.take_notices()
        for plane in self._planes:
            notices += plane.take_notices()
        return notices

    def find_no_go(self) -> str:
        """Return why today's field is not the stored one; "" if it is."""
        for plane in self._image_planes:
            report = plane.reference.field_report if plane.reference else None
            if report and not report.is_go:
                return report.summary
        return ""

    def find_offset_problem(self) -> str:
        """Return why dF/F may be wrong because of the detector offset; "" if not."""
        for plane in self._image_planes:
            if plane.reference and plane.reference.offset_problem:
                return plane.reference.offset_problem
        return ""

    def make_labels(self) -> Array:
        """Return uint32 (planes, lines, pixels): 0 = background, k = k-th neuron."""
        return np.stack([plane.make_labels() for plane in self._planes])

    def make_view(self, number: int, step_px: int) -> Array:
        """Return a plane's newest image as uint8, every `step_px`-th pixel."""
        return self._planes[number].make_view(step_px)

    def close(self) -> None:
        """Cancel the work in the background."""
        self._background.shutdown(wait=False, cancel_futures=True)


def _split_by_plane(field: FieldNeurons) -> list[StoredField]:
    return [
        StoredField(field.rois.select_neurons(field.plane_indices(plane)), image)
        for plane, image in enumerate(field.stored_images)
    ]
