"""One frame through the front: register, read, relate to rest, deconvolve.

The same chain runs live and over recordings, so that an encoder is trained on exactly
what it will be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rtrecon.config import RegisterSettings, Settings
from rtrecon.core.types import Array
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import Registrar, Shift
from rtrecon.imaging.registration.template_drift import DriftingTemplate
from rtrecon.imaging.registration.z_drift import Depth, DepthMeter
from rtrecon.imaging.traces.baseline import RelativeChange
from rtrecon.imaging.traces.deconvolution import deconvolver
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import Masks, with_rings
from rtrecon.imaging.traces.noise import RunningSnr
from rtrecon.imaging.traces.overlap import Demixer
from rtrecon.rois.roi_set import from_pixels


@dataclass(frozen=True)
class Sample:
    """What one frame says; (n,) float32 arrays, made for it and the reader's to keep.

    All are NaN where the shift is not trusted: nothing was measured. activity belongs
    to the frame `deconvolve_lag_frames` earlier, and is NaN where nothing was then.
    """

    shift: Shift
    cell: Array  # counts
    neuropil: Array  # counts
    dff: Array
    activity: Array  # dF/F per frame, >= 0


@dataclass(frozen=True)
class Worth:
    """What traces are worth; (n,) float32 each, NaN where not known.

    noise: of dF/F, in 1 / sqrt(Hz) (Rupprecht et al. 2021; times 100 for %). snr: mean
    peak of transients over the noise of a frame. neuropil_coefficient: taken off.
    """

    noise: Array
    snr: Array
    neuropil_coefficient: Array


class Chain:
    """All stations from pixels to activity, of one plane.

    template: (lines, pixels) float32. offset: counts that the detector reads in the
    dark. scan_offset_px: by how much odd lines lie too far right. depth: tells z drift,
    if given. registered: the last frame, moved back, for the display; overwritten.
    notices: sentences to be told; whoever tells them clears them.
    """

    def __init__(
        self,
        template: Array,
        masks: Masks,
        rate_hz: float,
        settings: Settings,
        *,
        offset: float = 0.0,
        scan_offset_px: float = 0.0,
        depth: DepthMeter | None = None,
    ) -> None:
        cells = masks.cells
        if cells.shape != template.shape:
            raise ValueError(
                f"the masks were made on a field of {cells.shape}, but the template "
                f"has {template.shape}: they belong to another field or zoom"
            )
        self._n = len(cells)
        self._settings = settings
        self._registrar = Registrar(
            template, settings.register_, scan_offset_px=scan_offset_px
        )
        drift_s = settings.register_.template_drift_s
        self._drift = DriftingTemplate(template, rate_hz, drift_s) if drift_s else None
        self._depth = depth
        self._guided = np.zeros(template.shape, np.float32)
        self._extractor = TraceExtractor(cells, masks.rings)
        demixes = settings.traces.overlap == "demix"
        self._demixer = Demixer(cells) if demixes else None
        self._change = RelativeChange(self._n, rate_hz, settings.traces, offset)
        traces = settings.traces
        self._deconvolver = deconvolver(self._n, rate_hz, traces, traces.rise_s)
        self._snr = RunningSnr(self._n, rate_hz, traces, traces.rise_s)
        self.registered = np.zeros(template.shape, np.float32)

    def process(self, frame: Array, guide: Array | None = None) -> Sample:
        """Take one (lines, pixels) int16 or uint16 frame; return what it says.

        guide: the same moment in another channel, which the motion is told from.
        """
        guide = None if guide is frame else guide
        shift = self._registrar.estimate(frame if guide is None else guide)
        self._registrar.apply(frame, shift, self.registered)
        if self._drift or self._depth:
            self._look_around(self._guide_moved_back(guide, shift), shift)
        cell, ring, dff, activity = np.full((4, self._n), np.nan, np.float32)
        if shift.trusted:
            self._extractor.extract(self.registered, cell, ring)
            if self._demixer is not None:
                self._demixer.apply(cell, ring)
        self._change.update(cell, ring, dff)
        self._snr.update(dff)
        self._deconvolver.update(dff, activity)
        return Sample(shift, cell, ring, dff, activity)

    @property
    def depth(self) -> Depth:
        """How far the plane has wandered up or down; NaN where that is not known."""
        return self._depth.depth if self._depth else Depth()

    @property
    def notices(self) -> list[str]:
        """What the template became, in sentences."""
        return self._drift.notices if self._drift else []

    def worth(self) -> Worth:
        """Return what each neuron's trace is worth, as far as is known by now."""
        return Worth(
            noise=self._snr.noise.standardized(),
            snr=self._snr.snr(),
            neuropil_coefficient=self._change.coefficient,
        )

    def _guide_moved_back(self, guide: Array | None, shift: Shift) -> Array:
        if guide is None:
            return self.registered
        self._registrar.apply(guide, shift, self._guided)
        return self._guided

    def _look_around(self, image: Array, shift: Shift) -> None:
        if self._drift and shift.trusted and self._drift.take(image, shift):
            self._registrar.follow(self._drift.scales)
        if self._depth:
            # Of frames that are out of plane, too, one wants to know how far.
            usable = shift.trusted or shift.reason == RejectionReason.PLANE
            self._depth.take(image if usable else None)

    def warm_up(self) -> None:
        """Compile all that is used, on dummy data; nothing here changes."""
        scene = np.random.default_rng(0).integers(0, 200, self.registered.shape)
        line = np.arange(2), np.arange(2), np.ones(2, np.float32)
        dot = np.arange(1), np.arange(1), np.ones(1, np.float32)  # on the line
        rois = from_pixels(np.arange(2), scene.shape, [line, dot])
        # Defaults but for what is done at all: the scene must count as trusted.
        register = RegisterSettings(nonrigid=self._settings.register_.nonrigid)
        settings = Settings(traces=self._settings.traces, register_=register)
        masks = with_rings(rois, settings.traces)
        template = scene.astype(np.float32)
        for offset_px in (0.0, 0.5):
            chain = Chain(template, masks, 30.0, settings, scan_offset_px=offset_px)
            for dtype in (np.int16, np.uint16):
                chain.process(scene.astype(dtype))
        still = Shift(0.0, 0.0, 1.0, True)
        DriftingTemplate(template, 1.0, 10.0).take(chain.registered, still)

    def state(self) -> dict[str, Array]:
        """Return all that a restart must know to go on where this chain is."""
        return {
            f"{name}/{key}": array
            for name, part in self._parts().items()
            for key, array in part.state().items()
        }

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state saved by a chain of the same rois, rate and settings."""
        for name, part in self._parts().items():
            start = f"{name}/"
            part.restore(
                {
                    key.removeprefix(start): array
                    for key, array in state.items()
                    if key.startswith(start)
                }
            )
        if self._drift:
            self._registrar.follow(self._drift.scales)

    def _parts(self) -> dict[str, _Part]:
        parts: dict[str, _Part] = {
            "register": self._registrar,
            "change": self._change,
            "deconvolve": self._deconvolver,
            "snr": self._snr,
        }
        return parts | ({"drift": self._drift} if self._drift else {})


class _Part(Protocol):
    """What remembers something between frames."""

    def state(self) -> dict[str, Array]: ...

    def restore(self, state: dict[str, Array]) -> None: ...
