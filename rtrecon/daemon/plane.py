"""One plane of a session: from its first image to its neurons' activity."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.imaging.frame_processor import Chain, Sample, Worth
from rtrecon.imaging.reference import Known, Reference, find_reference, stored_reference
from rtrecon.imaging.registration.z_drift import Depth, DepthMeter
from rtrecon.imaging.timing.aligner import Aligner, Tick
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import UNKNOWN, Behaved
from rtrecon.session.resume_state import (
    State,
    load_reference,
    load_state,
    reference_file,
    state_file,
)

# Of images kept until there is a reference; the oldest go first, counted.
_MOST_KEPT_BYTES = 256 * 2**20
# In one go: what was kept is caught up with beside new images, not in front of them.
_AT_ONCE = 4


@dataclass(frozen=True)
class Shot:
    """An image of one plane and when it came, on the wall clock of this machine.

    pixels: of the channel that activity is read from; guide: of the one aligned on.
    behavior: what was known of it when the image came.
    """

    message: messages.Frame
    pixels: Array
    guide: Array
    t_received: float
    images: int = 1  # that came for it: two where the channels differ
    behavior: Behaved = UNKNOWN


@dataclass(frozen=True)
class Step:
    """What one shot said. `late`: it had to wait for the reference.

    ticks: encoder frames completed, whose newest image is `origin`. depth: of the
    plane, where a stack tells it.
    """

    shot: Shot
    sample: Sample
    ticks: list[Tick]
    origin: Shot
    late: bool
    depth: Depth


class Plane:
    """One plane's reference, chain and time base.

    Shots are kept until a reference has been made of the first, aside, and then
    processed late: none is left out. Remembers the newest shots that deconvolution
    still waits on. `notices` are sentences to be told, `unusable` counts shots of which
    no reference could be made.
    """

    def __init__(
        self, known: Known, rate_hz: float, settings: Settings, aside: Executor
    ) -> None:
        self.known = known
        self.reference: Reference | None = None
        self.notices: list[str] = []
        self.unusable = 0
        self._rate_hz = rate_hz
        self._settings = settings
        self._aside = aside
        self._making: Future[Reference] | None = None
        self._tried = 0  # shots that the reference in the making is of
        self._chain: Chain | None = None
        self._backlog: deque[tuple[Shot, bool]] = deque()
        self._aligner = Aligner(settings.align.rate_hz)
        lag = settings.traces.deconvolve_lag_frames
        self._waiting: deque[Shot] = deque(maxlen=lag + 1)
        self._contrast = 0.0, 1.0
        self._t0_s = 0.0
        if known.image is not None and not settings.field.enabled:
            self.use(stored_reference(known, settings))

    @property
    def calibrating(self) -> bool:
        """Whether shots are being kept for a reference."""
        return self._chain is None

    @property
    def making(self) -> bool:
        """Whether a reference is being made, aside."""
        return self._making is not None

    @property
    def waiting(self) -> int:
        """How many shots are kept or still to be caught up with."""
        return len(self._backlog)

    def start(self, t0_s: float, from_s: float) -> None:
        """Begin a session whose first image was at t0_s; we see those since from_s."""
        self._t0_s = t0_s
        self._aligner.start(t0_s, self._rate_hz, from_s)

    def resume(self, folder: Path, number: int) -> float:
        """Go on where an earlier part of the session, in `folder`, was left.

        Returns its t0 in s. Raises UserError where it cannot be gone on from.
        """
        state = load_state(state_file(folder, number), self._settings)
        kept = reference_file(folder, number)
        reference, self.known = load_reference(kept, self._settings)
        self.use(reference)
        assert self._chain is not None
        self._chain.restore(state.chain)
        return state.t0_s

    def state(self) -> State | None:
        """Return all that a restart needs to go on from here; None before images."""
        if self._chain is None or not self._waiting:
            return None
        return State(self._chain.state(), self._t0_s, self._waiting[-1].message.t)

    def labels(self) -> Array:
        """Return whose each pixel is, uint16: 0 = nobody's, k = the k-th cell's."""
        rois = self.reference.masks.cells if self.reference else self.known.rois
        labels = np.zeros(rois.shape, np.uint16)
        numbers = np.arange(1, 1 + len(rois), dtype=np.uint16)
        labels[rois.rows, rois.cols] = numbers.repeat(np.diff(rois.indptr))
        return labels

    def worth(self) -> Worth | None:
        """Return what the neurons' traces are worth; None before there are any."""
        return None if self._chain is None else self._chain.worth()

    def take(self, shot: Shot) -> list[Step]:
        """Take one shot; return what could be processed now, oldest first."""
        late = self.calibrating or bool(self._backlog)
        self._backlog.append((shot, late))
        most = max(2, _MOST_KEPT_BYTES // shot.pixels.nbytes)
        if self.calibrating and len(self._backlog) > most:
            self._backlog.popleft()
            self.unusable += 1
        return self.go_on()

    def go_on(self, *, ending: bool = False) -> list[Step]:
        """Do what became possible; `ending`: no further shot will come for a while."""
        if self._chain is None:
            self._calibrate(ending)
        if self._chain is None:
            return []
        count = min(_AT_ONCE, len(self._backlog))
        return [self._process(*self._backlog.popleft()) for _ in range(count)]

    def use(self, reference: Reference) -> None:
        """Register to this reference from the next shot on."""
        self.reference = reference
        depth, meter = reference.depth, None
        if depth is not None:
            meter = DepthMeter(depth.planes, self._rate_hz, depth.step)
        self._chain = Chain(
            reference.template,
            reference.masks,
            self._rate_hz,
            self._settings,
            offset=reference.offset_counts,
            scan_offset_px=reference.scan_offset_px,
            depth=meter,
        )
        low, high = np.percentile(reference.template, (1, 99.7))
        self._contrast = float(low), float(max(high - low, 1.0))

    def retake(self) -> None:
        """Make a new reference of the next shots; the neurons are looked for in it."""
        if self.reference is not None:
            rois, image = self.reference.masks.cells, self.reference.template
            self.known = Known(rois, image)
        self._chain = self._making = None

    def view(self, step_px: int) -> Array:
        """Return the newest registered image, uint8, every `step_px`-th pixel."""
        assert self._chain is not None
        low, span = self._contrast
        image = self._chain.registered[::step_px, ::step_px]
        return np.clip((image - low) * (255 / span), 0, 255).astype(np.uint8)

    def _calibrate(self, ending: bool) -> None:
        if self._making is None:
            self._start_making(ending)
        elif self._making.done():
            made, self._making = self._making, None
            try:
                self.use(made.result())
                self.notices += made.result().notices
            except ValueError as error:
                self._give_up_kept(str(error))

    def _start_making(self, ending: bool) -> None:
        needed = self._settings.register_.template_frames
        if len(self._backlog) >= needed or (ending and self._backlog):
            shots = [shot for shot, _ in islice(self._backlog, needed)]
            guides, read = [s.guide for s in shots], [s.pixels for s in shots]
            self._tried = len(shots)
            self._making = self._aside.submit(
                find_reference, guides, self.known, self._settings, read
            )

    def _give_up_kept(self, reason: str) -> None:
        self.unusable += self._tried
        for _ in range(self._tried):
            self._backlog.popleft()
        self.notices.append(f"{reason} The next {self._tried} frames are tried")

    def _process(self, shot: Shot, late: bool) -> Step:
        assert self._chain is not None
        sample = self._chain.process(shot.pixels, shot.guide)
        self._waiting.append(shot)
        ticks: list[Tick] = []
        origin = self._waiting[0]
        if len(self._waiting) == self._waiting.maxlen:
            # Deconvolution looks ahead: its activity belongs to the oldest shot.
            stamp = origin.message
            ticks = self._aligner.activity(stamp.t, stamp.frame, sample.activity)
        self._tell(self._chain)
        return Step(shot, sample, ticks, origin, late, self._chain.depth)

    def _tell(self, chain: Chain) -> None:
        self.notices += chain.notices
        chain.notices.clear()
