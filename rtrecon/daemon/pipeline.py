"""One session in the front: the one file that knows the order of the stations.

An image is registered and read with its plane, put on the encoder's time base, joined
with the other planes, published and recorded. Stations see arrays; this file sees
messages. Nothing here waits.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, isnan
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.daemon.field_neurons import Field
from rtrecon.daemon.plane import Plane, Shot, Step
from rtrecon.daemon.spike_plane import Units
from rtrecon.daemon.state_checkpointer import Keeper
from rtrecon.imaging.reference import Known
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.timing.aligner import Aligner, to_encoder_frame
from rtrecon.imaging.timing.clock_fit import Clocks
from rtrecon.imaging.timing.volume import Complete, Volume
from rtrecon.metrics.latency import LatencyHistogram, RateMeter
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import Behaved
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow, FrameRow
from rtrecon.transport.publisher import Publisher

REASONS = [doubt.value for doubt in RejectionReason]
_FIELD_EVERY_S = 0.2
_FIELD_STEP = 2  # camera pixels per published pixel
_MOST_PENDING = 64  # held until the session's first frame gives them a time
_SILENT_PLANE_PERIODS = 2.5  # of a plane that is then no longer waited for


_Timed = messages.Stimulus | messages.Behavior


@dataclass(frozen=True)
class Arrived:
    """A frame and when it came, on the wall clock of this machine."""

    message: messages.Frame
    pixels: Array
    t_received: float


class Pipeline:
    """From one session's frames to its activity.

    Remembers its planes, the time base, and this session's latencies. Of several
    channels, one is read and one aligned on (the same, unless the settings say
    otherwise); others are let go. `recorder` may come and go.
    """

    def __init__(
        self, start: messages.Start, field: Field, settings: Settings, out: Publisher
    ) -> None:
        self.start = start
        self.field = field
        self.processed = 0
        self.unpaired = 0  # images whose other channel never came
        self.untrusted: Counter[str] = Counter()  # frames, by reason
        self.sent: tuple[int, int] | None = None  # first and newest encoder frame
        self.recorder: Recorder | None = None
        self.rate = RateMeter(2.0)
        # For an inverter that was started again: what its window would hold.
        self.history: deque[list[Any]] = deque(maxlen=settings.invert.window_frames)
        self.latency = {
            name: LatencyHistogram() for name in ("frame_to_traces", "send_to_receive")
        }
        self._out = out
        self._channels = _channels(start, settings)
        self._aside = ThreadPoolExecutor(1, "reference")
        self._places = [field.places(plane) for plane in range(len(field.images))]
        kind = Plane if start.units is None else Units
        self._planes = [
            kind(known, start.rate_hz, settings, self._aside)
            for known in _known(field, self._places)
        ]
        period_ticks = settings.align.rate_hz / start.rate_hz
        patience = ceil(_SILENT_PLANE_PERIODS * period_ticks)
        self._volume = Volume(self._places, patience)
        self._clock = Aligner(settings.align.rate_hz)  # of stimulus and behaviour
        self._clocks = Clocks()
        self._halves: dict[int, Arrived] = {}  # by plane: waiting for its other channel
        self._keeper = Keeper(settings, self._aside)
        self._t0_s: float | None = None  # of a session that was begun before
        self._told: list[str] = []
        self._first: Arrived | None = None
        self._newest: Arrived | None = None
        self._pending: deque[tuple[_Timed, Array]] = deque(maxlen=_MOST_PENDING)
        self._field_due_s = [0.0] * len(self._planes)

    @property
    def calibrating(self) -> bool:
        """Whether frames of any plane are still being kept for its reference."""
        return any(plane.calibrating for plane in self._planes)

    @property
    def making(self) -> bool:
        """Whether a reference is being made of the first frames of any plane."""
        return any(plane.making for plane in self._planes)

    @property
    def waiting(self) -> int:
        """How many frames came but are not processed yet."""
        return sum(plane.waiting for plane in self._planes)

    @property
    def unusable(self) -> int:
        """How many frames were lost because no reference could be made of them."""
        return sum(plane.unusable for plane in self._planes)

    def notices(self) -> list[str]:
        """Return sentences to be told, once."""
        sources = [self._told, self._keeper.notices]
        sources += [plane.notices for plane in self._planes]
        told = [notice for source in sources for notice in source]
        for source in sources:
            source.clear()
        return told

    def resume(self, folder: Path) -> None:
        """Go on where an earlier part of this session, in `folder`, was left."""
        try:
            starts_s = [
                plane.resume(folder, number)
                for number, plane in enumerate(self._planes)
            ]
        except UserError as error:
            self.retake_reference()
            self._told.append(str(error))
            return
        self._t0_s = starts_s[0]
        self._told.append(f"the session goes on from {folder.name}")

    def retake_reference(self) -> None:
        """Make new references of the next frames."""
        for plane in self._planes:
            plane.retake()

    def close(self) -> None:
        """Let go of what works aside."""
        self._aside.shutdown(wait=False, cancel_futures=True)

    def frame(self, arrived: Arrived) -> None:
        """Take one frame."""
        if self._first is None:
            self._begin(arrived)
        self._newest = arrived
        self._clocks.frame(arrived.message)
        while self._pending:
            self.timed(*self._pending.popleft())
        shot = self._shot(arrived)
        if shot is None:
            return
        plane = arrived.message.plane
        steps = self._planes[plane].take(shot)
        self._tell(plane, steps)
        if steps and not steps[-1].late:
            self._count_latency(arrived)

    def go_on(self, now_s: float, *, ending: bool = False) -> None:
        """Do what waits; `ending`: no further frame will come for a while."""
        if self.recorder and not self.recorder.failure:
            self._keeper.keep(self.recorder.path, self._planes, now_s)
        for number, plane in enumerate(self._planes):
            if plane.waiting:
                self._tell(number, plane.go_on(ending=ending))

    def timed(self, message: _Timed, image: Array) -> str | None:
        """Take a stimulus frame or behaviour; a sentence if it cannot be used."""
        if self._newest is None:
            self._pending.append((message, image.copy()))
            return None
        t = self._time_of(message)
        if t is None:
            kind = type(message).__name__.lower()
            return f"a {kind} message has no time; it cannot be aligned"
        if isinstance(message, messages.Behavior):
            self._behave(replace(message, t=t))
            return None
        if not image.size:
            return "a stimulus message has no pixels; it cannot be shown"
        index = self._clock.index_of(t)
        if index >= 0:
            self._show_stimulus(index, message.clip, to_encoder_frame(image))
        return None

    def sync(self, message: messages.Sync, t_received: float) -> None:
        """Take an edge of a digital line."""
        self._clocks.sync(message, t_received)
        if self.recorder:
            self.recorder.sync(message)

    def realtime_factor(self) -> float:
        """Seconds of recording taken in per second since the first frame came."""
        if self._first is None or self._newest is None:
            return 0.0
        wall_s = self._newest.t_received - self._first.t_received
        t_s = self._newest.message.t - self._first.message.t
        return t_s / wall_s if wall_s > 0 else 0.0

    def _time_of(self, message: _Timed) -> float | None:
        """Return when it was, on the microscope's clock; None if nothing tells."""
        if message.t is not None or message.t_send is None:
            return message.t
        # In use from now on, so that what it costs in time is reported.
        self.latency["align_error"] = self._clocks.error
        return self._clocks.ours(message.session, message.t_send)

    def _behave(self, message: messages.Behavior) -> None:
        assert message.t is not None
        self._clock.behavior(message.t, message.behaved())
        if self.recorder:
            self.recorder.behavior(message)

    def labels(self) -> Array:
        """Return (planes, lines, pixels): see `Plane.labels`."""
        return np.stack([plane.labels() for plane in self._planes])

    def _begin(self, first: Arrived) -> None:
        self._first = first
        from_s = first.message.t
        t0_s = from_s if self._t0_s is None else self._t0_s
        self._clock.start(t0_s, self.start.rate_hz)
        for plane in self._planes:
            plane.start(t0_s, from_s)

    def _shot(self, arrived: Arrived) -> Shot | None:
        """Return the shot that this image completes, if it completes one."""
        message, pixels = arrived.message, arrived.pixels
        read, guide = self._channels
        if message.channel not in (read, guide):
            self.processed += 1  # nobody asked for it
            return None
        # As known now, not when it is processed: a replay then has the same.
        behavior = self._clock.behavior_at()
        if read == guide:
            received = arrived.t_received
            return Shot(message, pixels, pixels, received, behavior=behavior)
        half = self._halves.pop(message.plane, None)
        if half is None or half.message.frame != message.frame:
            self.unpaired += half is not None
            self._halves[message.plane] = arrived
            return None
        one, other = (
            (half, arrived) if half.message.channel == read else (arrived, half)
        )
        return Shot(
            one.message, one.pixels, other.pixels, arrived.t_received, 2, behavior
        )

    def _count_latency(self, arrived: Arrived) -> None:
        waited_s = arrived.t_received - arrived.message.t_send
        self.latency["send_to_receive"].add(max(0.0, waited_s) * 1e3)
        taken_s = time.time() - arrived.t_received
        self.latency["frame_to_traces"].add(taken_s * 1e3)

    def _tell(self, plane: int, steps: list[Step]) -> None:
        """Publish and record what these steps say."""
        for number, step in enumerate(steps, 1):
            received = step.origin.t_received
            told = [Complete(tick, received, step.late) for tick in step.ticks]
            # What was processed but is not told yet is waited for, too.
            catching_up = self.waiting > 0 or number < len(steps)
            for complete in self._volume.add(plane, told, catching_up=catching_up):
                self._send_activity(complete, step.shot.behavior)
            self.processed += step.shot.images
            self.rate.tick(time.monotonic())
            if step.sample.shift.reason:
                self.untrusted[step.sample.shift.reason] += 1
            self._record(plane, step)
            self._show_field(plane, step)

    def _send_activity(self, complete: Complete, behavior: Behaved) -> None:
        tick = complete.tick
        self.sent = (self.sent or (tick.index,))[0], tick.index
        message = self._out.send(
            messages.Activity,
            tick.values,
            index=tick.index,
            frame=tick.frame,
            t_frame=complete.t_received,
            behavior=behavior,
            late=complete.late,
            t_newest=self._newest.t_received if self._newest else None,
        )
        self.history.append(messages.encode_published(message, tick.values))
        if self.recorder:
            known = (np.nan if value is None else value for value in behavior)
            row = ActivityRow(tick.index, tick.frame, *known)
            self.recorder.activity(row, tick.values)

    def _record(self, plane: int, step: Step) -> None:
        if self.recorder is None:
            return
        message, sample = step.shot.message, step.sample
        shift = sample.shift
        row = FrameRow(
            frame=message.frame,
            seq=message.seq,
            t=message.t,
            t_send=message.t_send,
            t_received=step.shot.t_received,
            shift_y_px=shift.y_px,
            shift_x_px=shift.x_px,
            confidence=shift.confidence,
            trusted=shift.trusted,
            latency_ms=(time.time() - step.shot.t_received) * 1e3,
            plane=plane,
            reason=REASONS.index(shift.reason),
            z=step.depth.z,
        )
        self.recorder.frame(row, (sample.cell, sample.neuropil, sample.dff))

    def _show_field(self, plane: int, step: Step) -> None:
        now_s = time.monotonic()
        if now_s < self._field_due_s[plane]:
            return
        self._field_due_s[plane] = now_s + _FIELD_EVERY_S
        image = self._planes[plane].view(_FIELD_STEP)
        if not image.size:
            return
        shift, depth = step.sample.shift, step.depth
        self._out.send(
            messages.Field,
            image,
            frame=step.shot.message.frame,
            shape=(image.shape[0], image.shape[1]),
            shift_px=(shift.y_px, shift.x_px),
            confidence=shift.confidence,
            step=_FIELD_STEP,
            plane=plane,
            reason=shift.reason,
            z=_known_or_none(depth.z),
            z_error=_known_or_none(depth.error),
        )

    def _show_stimulus(self, index: int, clip: str, image: Array) -> None:
        shape = (image.shape[0], image.shape[1])
        self._out.send(messages.Seen, image, index=index, clip=clip, shape=shape)
        if self.recorder:
            self.recorder.stimulus(index, image, clip)


def _known(field: Field, places: list[Array]) -> list[Known]:
    return [
        Known(field.rois.subset(own), image)
        for own, image in zip(places, field.images, strict=True)
    ]


def _known_or_none(value: float) -> float | None:
    return None if isnan(value) else value


def _channels(start: messages.Start, settings: Settings) -> tuple[int, int]:
    """Return which channel is read and which is aligned on; UserError if absent."""
    read = settings.traces.channel or start.channels[0]
    guide = settings.register_.channel or read
    for key, channel in (("traces", read), ("register", guide)):
        if channel not in start.channels:
            raise UserError(
                f"{key}.channel = {channel}, but the session has channels "
                f"{start.channels}; choose one of these"
            )
    return read, guide
