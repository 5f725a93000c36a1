"""Process one frame: register it, read the cells, compute dF/F, deconvolve.

The same `FrameProcessor` runs live and over recordings, so that an encoder is trained
on exactly the activity that it gets in a session.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rtrecon.config import RegistrationSettings, Settings
from rtrecon.core.types import Array
from rtrecon.imaging.registration.fixed_registrar import is_too_small, make_registrar
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import (
    FrameShift,
    Registrar,
    prepare_frame,
)
from rtrecon.imaging.registration.scan_phase_tracker import ScanPhaseTracker
from rtrecon.imaging.registration.template_drift import AdaptiveTemplate
from rtrecon.imaging.registration.z_drift import DepthEstimate, DepthTracker
from rtrecon.imaging.traces.activity_estimator import ActivityEstimator
from rtrecon.imaging.traces.baseline import DffCalculator
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import CellMasks, make_cell_masks
from rtrecon.imaging.traces.noise import RunningSnr
from rtrecon.imaging.traces.overlap import CellDemixer
from rtrecon.rois.roi_set import build_roi_set


@dataclass(frozen=True)
class FrameTraces:
    """The values of all n neurons in one frame; (n,) float32 arrays of its own.

    All are NaN where the frame is rejected: nothing was measured. activity belongs to
    the block of frames `deconvolution_lag_frames` blocks earlier, and is NaN where that
    block had no values. A block is one frame, or several of a microscope that is faster
    than the encoder; has_activity is False in frames that do not end a block.
    """

    shift: FrameShift
    cell: Array  # counts
    neuropil: Array  # counts
    dff: Array
    activity: Array  # dF/F per block, >= 0
    has_activity: bool = True


@dataclass(frozen=True)
class TraceQuality:
    """How good each neuron's trace is; (n,) float32 each, NaN where not known yet.

    noise: of dF/F, in 1 / sqrt(Hz) (Rupprecht et al. 2021; times 100 for %). snr: mean
    peak of transients over the noise of a frame. neuropil_coefficient: the share of the
    neuropil that is subtracted.
    """

    noise: Array
    snr: Array
    neuropil_coefficient: Array


class FrameProcessor:
    """All processing steps from pixels to activity, of one plane.

    template: (lines, pixels) float32. detector_offset_counts: what the detector reads
    without light. scan_offset_px: how far odd lines lie to the right of even ones,
    at first; it is followed where `registration.scan_phase` is 'auto'.
    depth_tracker: measures z drift, if given. registered_image: the last frame, moved
    back, for the display; overwritten by the next.
    """

    def __init__(
        self,
        template: Array,
        masks: CellMasks,
        rate_hz: float,
        settings: Settings,
        *,
        detector_offset_counts: float = 0.0,
        scan_offset_px: float = 0.0,
        depth_tracker: DepthTracker | None = None,
    ) -> None:
        cells = masks.cells
        if cells.shape != template.shape:
            raise ValueError(
                f"the masks were made on a field of {cells.shape}, but the template "
                f"has {template.shape}: they belong to another field or zoom"
            )
        self._n = len(cells)
        self._n_completed = 0  # frames whose traces are complete
        self._settings = settings
        registration, traces = settings.registration, settings.traces
        self._registrar = make_registrar(
            template, registration, scan_offset_px=scan_offset_px
        )
        can_move = isinstance(self._registrar, Registrar)
        drift_s = registration.template_drift_s if can_move else None
        self._adaptive = (
            AdaptiveTemplate(template, rate_hz, drift_s) if drift_s else None
        )
        is_followed = can_move and registration.scan_phase == "auto"
        shape = (int(template.shape[0]), int(template.shape[1]))
        self._scan_phase = (
            ScanPhaseTracker(shape, rate_hz, scan_offset_px) if is_followed else None
        )
        self._depth_tracker = depth_tracker
        self._moved_back = np.zeros(template.shape, np.float32)
        self._extractor = TraceExtractor(cells, masks.neuropil)
        self._demixer = CellDemixer(cells) if traces.overlap == "demix" else None
        self._dff = DffCalculator(self._n, rate_hz, traces, detector_offset_counts)
        self._activity = ActivityEstimator(self._n, rate_hz, settings)
        self._snr = RunningSnr(self._n, rate_hz, traces, traces.indicator_rise_s)
        self.registered_image = np.zeros(template.shape, np.float32)

    def process_frame(
        self,
        frame: Array,
        registration_frame: Array | None = None,
        marked: RejectionReason = RejectionReason.NONE,
    ) -> FrameTraces:
        """Process one (lines, pixels) int16 or uint16 frame of the signal channel.

        registration_frame: the same moment in the registration channel, if that is
        another one. marked: why the frame must be rejected, whatever it looks like.
        """
        if registration_frame is None:
            registration_frame = frame
        if marked:
            shift = self._registrar.reject_frame(marked)
        else:
            shift = self._registrar.estimate_shift(registration_frame)
        self._registrar.undo_shift(frame, shift, self.registered_image)
        if self._scan_phase and shift.is_accepted:
            self._follow_scan_phase(self._scan_phase, registration_frame)
        if self._adaptive or self._depth_tracker:
            is_other = registration_frame is not frame
            other = registration_frame if is_other else None
            self._follow_tissue(self._registration_image(other, shift), shift)
        cell, neuropil, dff, activity = np.full((4, self._n), np.nan, np.float32)
        if shift.is_accepted:
            self._extractor.extract_traces(self.registered_image, cell, neuropil)
            if self._demixer is not None:
                self._demixer.demix_cells(cell, neuropil)
        return self._complete_traces(shift, cell, neuropil, dff, activity)

    def process_frame_safely(
        self,
        frame: Array,
        registration_frame: Array,
        marked: RejectionReason = RejectionReason.NONE,
    ) -> tuple[FrameTraces, Exception | None]:
        """Like `process_frame`; where it raises, return a rejected frame and the error.

        The frame counts as lost, so that all later ones keep their place in time.
        """
        n_before = self._n_completed
        try:
            return self.process_frame(frame, registration_frame, marked), None
        except Exception as error:  # no frame may end a live session
            shift = FrameShift(0.0, 0.0, 0.0, False, RejectionReason.FAILED)
            missing = np.full((4, self._n), np.nan, np.float32)
            if self._n_completed == n_before:
                with suppress(Exception):  # of the same cause
                    return self._complete_traces(shift, *missing), error
            missing = np.full((4, self._n), np.nan, np.float32)
            return FrameTraces(shift, *missing), error

    def _complete_traces(
        self,
        shift: FrameShift,
        cell: Array,
        neuropil: Array,
        dff: Array,
        activity: Array,
    ) -> FrameTraces:
        """Compute dF/F and activity of a frame whose cells are read, or NaN."""
        self._dff.compute_dff(cell, neuropil, dff)
        self._snr.add_values(dff)
        has_activity = self._activity.add_frame(dff, activity)
        self._n_completed += 1
        return FrameTraces(shift, cell, neuropil, dff, activity, has_activity)

    @property
    def block_frames(self) -> int:
        """Number of frames that are averaged before deconvolution."""
        return self._activity.block_frames

    @property
    def depth_estimate(self) -> DepthEstimate:
        """How far the plane has drifted up or down; NaN where that is not known."""
        return self._depth_tracker.depth if self._depth_tracker else DepthEstimate()

    def take_notices(self) -> list[str]:
        """Return the sentences for the user that are new since the last call."""
        followers = (self._adaptive, self._scan_phase)
        return [text for each in followers if each for text in each.take_notices()]

    def trace_quality(self) -> TraceQuality:
        """Return the quality of each neuron's trace, as far as it is known by now."""
        return TraceQuality(
            noise=self._snr.running_noise.standardized_noise(),
            snr=self._snr.compute_snr(),
            neuropil_coefficient=self._dff.neuropil_coefficient,
        )

    def _registration_image(self, other: Array | None, shift: FrameShift) -> Array:
        """Return the image to follow the tissue by: that of the registration channel.

        other: the frame of that channel, if it is not the signal channel.
        """
        if other is None:
            return self.registered_image
        self._registrar.undo_shift(other, shift, self._moved_back)
        return self._moved_back

    def _follow_tissue(self, image: Array, shift: FrameShift) -> None:
        """Renew the template and the depth, with a frame that was moved back."""
        adaptive = self._adaptive
        if adaptive and shift.is_accepted and adaptive.add_frame(image, shift):
            self._use_adapted_template(adaptive)
        if self._depth_tracker:
            # The depth is of interest just for frames that are out of plane.
            is_out_of_plane = shift.rejection_reason == RejectionReason.OUT_OF_PLANE
            is_usable = shift.is_accepted or is_out_of_plane
            self._depth_tracker.add_image(image if is_usable else None)

    def _follow_scan_phase(self, tracker: ScanPhaseTracker, frame: Array) -> None:
        """Correct the scan phase of later frames by what it is found to be now."""
        if tracker.add_frame(prepare_frame(frame, self._registrar.shape)):
            self._registrar.scan_offset_px = tracker.offset_px

    def warm_up(self) -> None:
        """Compile every kernel that is used, on dummy data; nothing here changes."""
        scene = np.random.default_rng(0).integers(0, 200, self.registered_image.shape)
        rows = np.minimum(np.arange(2), len(scene) - 1)
        line = rows, np.arange(2), np.ones(2, np.float32)
        dot = np.arange(1), np.arange(1), np.ones(1, np.float32)  # on the line
        rois = build_roi_set(np.arange(2), scene.shape, [line, dot])
        # Defaults except for what runs at all, so that the scene is accepted.
        nonrigid = self._settings.registration.nonrigid
        registration = RegistrationSettings(nonrigid=nonrigid)
        settings = Settings(traces=self._settings.traces, registration=registration)
        masks = make_cell_masks(rois, settings.traces)
        template = scene.astype(np.float32)
        for offset_px in (0.0, 0.5):
            processor = FrameProcessor(
                template, masks, 30.0, settings, scan_offset_px=offset_px
            )
            for dtype in (np.int16, np.uint16):
                processor.process_frame(scene.astype(dtype))
        if is_too_small(scene.shape):
            return
        shape = (int(scene.shape[0]), int(scene.shape[1]))
        tracker = ScanPhaseTracker(shape, 1.0, 0.0)
        for dtype in (np.int16, np.uint16):
            tracker.add_frame(prepare_frame(scene.astype(dtype), shape))
        still = FrameShift(0.0, 0.0, 1.0, True)
        adaptive = AdaptiveTemplate(template, 1.0, 10.0)
        adaptive.add_frame(processor.registered_image, still)

    def get_state(self) -> dict[str, Array]:
        """Return everything that a restarted processor needs to continue from here."""
        return {
            f"{name}/{key}": array
            for name, part in self._stateful_parts().items()
            for key, array in part.get_state().items()
        }

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from the state of a processor of equal rois, rate and settings."""
        for name, part in self._stateful_parts().items():
            prefix = f"{name}/"
            part.restore_state(
                {
                    key.removeprefix(prefix): array
                    for key, array in state.items()
                    if key.startswith(prefix)
                }
            )
        if self._adaptive:
            self._use_adapted_template(self._adaptive)
        if self._scan_phase:
            self._registrar.scan_offset_px = self._scan_phase.offset_px

    def _use_adapted_template(self, adaptive: AdaptiveTemplate) -> None:
        assert isinstance(self._registrar, Registrar)  # others have no such template
        self._registrar.replace_template(adaptive.pyramid)

    def _stateful_parts(self) -> dict[str, _Stateful]:
        parts: dict[str, _Stateful] = {
            "registration": self._registrar,
            "dff": self._dff,
            "deconvolution": self._activity,
            "snr": self._snr,
        }
        if self._adaptive:
            parts["template_drift"] = self._adaptive
        if self._scan_phase:
            parts["scan_phase"] = self._scan_phase
        return parts


class _Stateful(Protocol):
    """A processing step that remembers something between frames."""

    def get_state(self) -> dict[str, Array]: ...

    def restore_state(self, state: dict[str, Array]) -> None: ...
