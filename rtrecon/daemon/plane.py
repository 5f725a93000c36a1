"""What the pipeline expects of one imaged plane, and what enters and leaves a plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.frame_processor import FrameTraces, TraceQuality
from rtrecon.imaging.reference import PlaneReference, StoredField
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.z_drift import DepthEstimate
from rtrecon.imaging.timing.aligner import EncoderSample
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import NO_BEHAVIOR, BehaviorValues
from rtrecon.rois.roi_set import RoiSet
from rtrecon.session.resume_state import PlaneState

if TYPE_CHECKING:  # a session of neurons in the brain imports nothing of the dish
    from rtrecon.dish.dish_frame import DishFrame

OnError = Callable[[str, Exception], None]  # what failed, and why
_NO_PIXELS = np.empty((0, 0), np.int16)


@dataclass(frozen=True)
class PlaneFrame:
    """One frame of one plane, with its images of the two channels that are used.

    signal_image: the channel from which activity is read. registration_image: the
    channel from which motion is estimated; often the same array. t_received_s: when the
    frame arrived, on this machine's wall clock. n_images: number of received images (2
    if the channels differ). behavior: the newest values when the frame arrived. marked:
    why it must be rejected, where a digital line says so.
    """

    message: messages.Frame
    signal_image: Array
    registration_image: Array
    t_received_s: float
    n_images: int = 1
    behavior: BehaviorValues = NO_BEHAVIOR
    marked: RejectionReason = RejectionReason.NONE

    def without_pixels(self) -> PlaneFrame:
        """Return the frame without its images, to be held for longer."""
        return replace(self, signal_image=_NO_PIXELS, registration_image=_NO_PIXELS)


@dataclass(frozen=True)
class DishPicture:
    """What was traced in a picture of a dish; image: registered, float32."""

    traced: DishFrame
    image: Array


@dataclass(frozen=True)
class ProcessedFrame:
    """The results of one frame.

    samples: the encoder frames that this frame completed. sample_frame: the frame to
    which their newest activity belongs; deconvolution lags behind. is_late: the frame
    was queued before it was processed. depth: position in z, if a z stack is known.
    dish: what was traced, in a session of neurons in a dish.
    """

    frame: PlaneFrame
    traces: FrameTraces
    samples: list[EncoderSample]
    sample_frame: PlaneFrame
    is_late: bool
    depth: DepthEstimate
    dish: DishPicture | None = None


class RestartablePlane(Protocol):
    """What is saved of a plane, so that a restarted daemon can resume its session.

    reference: saved once, with the stored field; None if there is none (yet).
    """

    reference: PlaneReference | None
    stored_field: StoredField

    @property
    def newest_frame_s(self) -> float:
        """Time of the newest processed frame, microscope's clock; -inf before one."""
        ...

    def get_state(self) -> PlaneState | None:
        """Return what a restart needs to continue; None before the first frame."""
        ...

    def resume(self, folder: Path, number: int) -> float:
        """Continue from a state saved in `folder`; return t0 of the session in s."""
        ...

    def rate_traces(self) -> tuple[Array, TraceQuality] | None:
        """Return ids of the neurons and the quality of their traces; None: unknown."""
        ...


class Plane(Protocol):
    """One plane of a session: frames in, encoder samples out; nothing waits.

    `n_unusable` counts the images from which no reference could be made.
    """

    n_unusable: int

    @property
    def is_calibrating(self) -> bool:
        """Whether frames are collected for a reference."""
        ...

    @property
    def is_building_reference(self) -> bool:
        """Whether a reference is being built in the background."""
        ...

    @property
    def n_queued(self) -> int:
        """Number of frames that were received but not processed yet."""
        ...

    @property
    def n_queued_images(self) -> int:
        """Number of images of these frames: a frame has one or two."""
        ...

    @property
    def is_queue_full(self) -> bool:
        """Whether the next frame would make the plane drop its oldest one."""
        ...

    def start_session(self, t0_s: float, from_s: float) -> None:
        """Start at from_s in a session whose first frame was at t0_s (s)."""
        ...

    def set_rate(self, rate_hz: float) -> None:
        """Expect this many frames per second from now on."""
        ...

    def add_frame(self, frame: PlaneFrame) -> list[ProcessedFrame]:
        """Take one frame; return what could be processed now, oldest first."""
        ...

    def process_pending(self, *, is_ending: bool = False) -> list[ProcessedFrame]:
        """Process some queued frames; is_ending: no further frame is expected."""
        ...

    def renew_reference(self) -> None:
        """Build a new reference from the next frames."""
        ...

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        ...

    def make_labels(self) -> Array:
        """Return uint32 (lines, pixels): 0 = background, k = the k-th neuron."""
        ...

    def make_view(self, step_px: int) -> Array:
        """Return the newest registered image as uint8, every `step_px`-th pixel."""
        ...


def make_label_image(rois: RoiSet) -> Array:
    """Return uint32 (lines, pixels): 0 = background, k = the k-th region."""
    labels = np.zeros(rois.shape, np.uint32)
    numbers = np.arange(1, 1 + len(rois), dtype=np.uint32)
    labels[rois.rows, rois.cols] = numbers.repeat(np.diff(rois.indptr))
    return labels
