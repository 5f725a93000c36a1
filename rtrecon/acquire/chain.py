"""One frame through the front: register, read, relate to rest, deconvolve.

The same chain runs live and over recordings, so that an encoder is trained on exactly
what it will be shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.acquire.baseline import RelativeChange
from rtrecon.acquire.deconvolve import OnlineDeconvolver
from rtrecon.acquire.neuropil import Masks, with_rings
from rtrecon.acquire.overlap import Demixer
from rtrecon.acquire.register import Registrar, Shift
from rtrecon.acquire.traces import TraceExtractor
from rtrecon.config import RegisterSettings, Settings
from rtrecon.rois import from_pixels
from rtrecon.wire import Array


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


class Chain:
    """All stations from pixels to activity, of one plane.

    template: (lines, pixels) float32. offset: counts that the detector reads in the
    dark. registered: the last frame, moved back, for the display; overwritten.
    """

    def __init__(
        self,
        template: Array,
        masks: Masks,
        rate_hz: float,
        settings: Settings,
        *,
        offset: float = 0.0,
    ) -> None:
        cells = masks.cells
        if cells.shape != template.shape:
            raise ValueError(
                f"the masks were made on a field of {cells.shape}, but the template "
                f"has {template.shape}: they belong to another field or zoom"
            )
        self._n = len(cells)
        self._settings = settings
        self._registrar = Registrar(template, settings.register_)
        self._extractor = TraceExtractor(cells, masks.rings)
        demixes = settings.traces.overlap == "demix"
        self._demixer = Demixer(cells) if demixes else None
        self._change = RelativeChange(self._n, rate_hz, settings.traces, offset)
        self._deconvolver = OnlineDeconvolver(self._n, rate_hz, settings.traces)
        self.registered = np.zeros(template.shape, np.float32)

    def process(self, frame: Array, guide: Array | None = None) -> Sample:
        """Take one (lines, pixels) int16 or uint16 frame; return what it says.

        guide: the same moment in another channel, which the motion is told from.
        """
        shift = self._registrar.estimate(frame if guide is None else guide)
        self._registrar.apply(frame, shift, self.registered)
        cell, ring, dff, activity = np.full((4, self._n), np.nan, np.float32)
        if shift.trusted:
            self._extractor.extract(self.registered, cell, ring)
            if self._demixer is not None:
                self._demixer.apply(cell, ring)
        self._change.update(cell, ring, dff)
        self._deconvolver.update(dff, activity)
        return Sample(shift, cell, ring, dff, activity)

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
        chain = Chain(scene.astype(np.float32), masks, 30.0, settings)
        for dtype in (np.int16, np.uint16):
            chain.process(scene.astype(dtype))

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

    def _parts(self) -> dict[str, Registrar | RelativeChange | OnlineDeconvolver]:
        return {
            "register": self._registrar,
            "change": self._change,
            "deconvolve": self._deconvolver,
        }
