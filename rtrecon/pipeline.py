"""One session in the front: the one file that knows the order of the stations.

A frame is registered, read, put on the encoder's time base, published and recorded.
Stations see arrays; this file sees messages. Nothing here waits.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtrecon import wire
from rtrecon.acquire.align import Aligner, Tick, to_encoder_frame
from rtrecon.acquire.chain import Chain, Sample
from rtrecon.acquire.neuropil import Masks
from rtrecon.acquire.register import make_template
from rtrecon.config import Settings
from rtrecon.publisher import Publisher
from rtrecon.quality.latency import LatencyHistogram, RateMeter
from rtrecon.record.store import Recorder
from rtrecon.record.tables import ActivityRow, FrameRow
from rtrecon.wire import Array

_FIELD_EVERY_S = 0.2
_FIELD_STEP = 2  # camera pixels per published pixel
_PENDING_STIMULI = 64  # held until the session's first frame gives them a time


@dataclass(frozen=True)
class Arrived:
    """A frame and when it came, on the wall clock of this machine."""

    message: wire.Frame
    pixels: Array
    t_received: float


class Pipeline:
    """From one session's frames to its activity.

    Without a template the first frames are kept until one can be made of them, and
    then processed late: none is left out, but their latency is not counted. Remembers
    the chain, the time base, the newest frames that deconvolution still waits on, and
    this session's latencies. `recorder` may come and go.
    """

    def __init__(
        self, start: wire.Start, masks: Masks, settings: Settings, out: Publisher
    ) -> None:
        self.masks = masks
        self.start = start
        self.processed = 0
        self.unusable = 0  # frames of which no template could be made
        self.recorder: Recorder | None = None
        self.rate = RateMeter(2.0)
        # For an inverter that was started again: what its window would hold.
        self.history: deque[list[Any]] = deque(maxlen=settings.invert.window_frames)
        self.latency = {
            name: LatencyHistogram() for name in ("frame_to_traces", "send_to_receive")
        }
        self._settings = settings
        self._out = out
        self._chain: Chain | None = None
        self._kept: list[Arrived] = []
        self._aligner = Aligner(settings.align.rate_hz)
        lag = settings.traces.deconvolve_lag_frames
        self._waiting: deque[Arrived] = deque(maxlen=lag + 1)
        self._first: Arrived | None = None
        self._newest: Arrived | None = None
        self._pending: deque[tuple[wire.Stimulus, Array]] = deque(
            maxlen=_PENDING_STIMULI
        )
        self._field_due_s = 0.0
        self._contrast = 0.0, 1.0

    @property
    def calibrating(self) -> bool:
        """Whether frames are still being kept for a template."""
        return self._chain is None

    def use_template(self, template: Array) -> None:
        """Register to this template, (lines, pixels) float32, from the next frame."""
        self._chain = Chain(template, self.masks, self.start.rate_hz, self._settings)
        low, high = np.percentile(template, (1, 99.7))
        self._contrast = float(low), float(max(high - low, 1.0))

    def retake_template(self) -> None:
        """Make a new template of the next frames."""
        self._chain = None

    def frame(self, arrived: Arrived) -> str | None:
        """Take one frame; returns a sentence if no template can be made so far."""
        if self._first is None:
            self._first = arrived
            self._aligner.start(arrived.message.t, self.start.rate_hz)
        self._newest = arrived
        while self._pending:
            self.stimulus(*self._pending.popleft())
        if self._chain is None:
            return self._keep(arrived)
        self._process(self._chain, arrived)
        waited_s = arrived.t_received - arrived.message.t_send
        self.latency["send_to_receive"].add(max(0.0, waited_s) * 1e3)
        taken_s = time.time() - arrived.t_received
        self.latency["frame_to_traces"].add(taken_s * 1e3)
        return None

    def behavior(self, message: wire.Behavior) -> None:
        """Take one behaviour sample."""
        dilation, speed = message.pupil_dilation, message.running_speed
        self._aligner.behavior(message.t, dilation, speed)
        if self.recorder:
            self.recorder.behavior(message)

    def stimulus(self, message: wire.Stimulus, image: Array) -> str | None:
        """Take one stimulus frame; returns a sentence if it cannot be used."""
        if self._newest is None:
            self._pending.append((message, image.copy()))
            return None
        t = message.t
        if t is None and message.t_send is not None:
            newest = self._newest.message
            t = message.t_send + newest.t - newest.t_send
        if t is None or not image.size:
            return "a stimulus message has no time or no pixels; it cannot be aligned"
        index = self._aligner.index_of(t)
        if index >= 0:
            self._show_stimulus(index, message.clip, to_encoder_frame(image))
        return None

    def realtime_factor(self) -> float:
        """Seconds of recording taken in per second since the first frame came."""
        if self._first is None or self._newest is None:
            return 0.0
        wall_s = self._newest.t_received - self._first.t_received
        t_s = self._newest.message.t - self._first.message.t
        return t_s / wall_s if wall_s > 0 else 0.0

    def _keep(self, arrived: Arrived) -> str | None:
        pixels = arrived.pixels.copy()
        self._kept.append(Arrived(arrived.message, pixels, arrived.t_received))
        if len(self._kept) < self._settings.register_.template_frames:
            return None
        tried, self._kept = self._kept, []
        try:
            self.use_template(make_template(np.stack([kept.pixels for kept in tried])))
        except ValueError as error:
            self.unusable += len(tried)
            return f"{error} The next {len(tried)} frames are tried"
        assert self._chain is not None
        for kept in tried:
            self._process(self._chain, kept)
        return None

    def _process(self, chain: Chain, arrived: Arrived) -> None:
        sample = chain.process(arrived.pixels)
        self._waiting.append(arrived)
        if len(self._waiting) == self._waiting.maxlen:
            # Deconvolution looks ahead: its activity belongs to the oldest frame.
            origin = self._waiting[0]
            stamp = origin.message
            ticks = self._aligner.activity(stamp.t, stamp.frame, sample.activity)
            for tick in ticks:
                self._send_activity(tick, origin.t_received)
        self.processed += 1
        self.rate.tick(time.monotonic())
        self._record(arrived, sample)
        self._show_field(chain, arrived.message, sample)

    def _send_activity(self, tick: Tick, t_frame: float) -> None:
        dilation, speed = self._aligner.behavior_at()
        message = self._out.send(
            wire.Activity,
            tick.values,
            index=tick.index,
            frame=tick.frame,
            t_frame=t_frame,
            behavior=(dilation, speed),
        )
        self.history.append(wire.encode_published(message, tick.values))
        if self.recorder:
            known = (np.nan if value is None else value for value in (dilation, speed))
            row = ActivityRow(tick.index, tick.frame, *known)
            self.recorder.activity(row, tick.values)

    def _record(self, arrived: Arrived, sample: Sample) -> None:
        if self.recorder is None:
            return
        message, shift = arrived.message, sample.shift
        row = FrameRow(
            frame=message.frame,
            seq=message.seq,
            t=message.t,
            t_send=message.t_send,
            t_received=arrived.t_received,
            shift_y_px=shift.y_px,
            shift_x_px=shift.x_px,
            confidence=shift.confidence,
            trusted=shift.trusted,
            latency_ms=(time.time() - arrived.t_received) * 1e3,
        )
        self.recorder.frame(row, (sample.cell, sample.neuropil, sample.dff))

    def _show_field(self, chain: Chain, message: wire.Frame, sample: Sample) -> None:
        now_s = time.monotonic()
        if now_s < self._field_due_s:
            return
        self._field_due_s = now_s + _FIELD_EVERY_S
        low, span = self._contrast
        view = chain.registered[::_FIELD_STEP, ::_FIELD_STEP]
        image = np.clip((view - low) * (255 / span), 0, 255).astype(np.uint8)
        self._out.send(
            wire.Field,
            image,
            frame=message.frame,
            shape=(image.shape[0], image.shape[1]),
            shift_px=(sample.shift.y_px, sample.shift.x_px),
            confidence=sample.shift.confidence,
            step=_FIELD_STEP,
        )

    def _show_stimulus(self, index: int, clip: str, image: Array) -> None:
        shape = (image.shape[0], image.shape[1])
        self._out.send(wire.Seen, image, index=index, clip=clip, shape=shape)
        if self.recorder:
            self.recorder.stimulus(index, image)
