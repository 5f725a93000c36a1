"""The inverter process: activity in by the wire, a live movie and its quality out.

Soft real time: it may fall behind, crash or be killed. Behind by more than a hop it
takes in all that waits and goes on from there, which is counted as a missed deadline.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import torch
import zmq

from rtrecon.config import InvertSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.core.process import Parent
from rtrecon.core.types import Array
from rtrecon.encoder.card import find
from rtrecon.encoder.checkpoint import Checkpoint, load
from rtrecon.encoder.spectrum import Spectrum, spectrum
from rtrecon.inversion import device
from rtrecon.inversion.live.behavior_range import Unlike
from rtrecon.inversion.live.inverter import LiveInverter, Problem
from rtrecon.inversion.live.quality import Judge
from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.control import ControlError, ask_attached
from rtrecon.transport.keys import keys_of_client
from rtrecon.transport.publisher import Publisher

_POLL_MS = 100
_HEALTH_EVERY_S = 1.0
_QUALITY_EVERY_HOPS = 3
_MAP_EVERY_HOPS = 24  # a multiple of the one above
_SHOWN_HELD_OUT = 16  # neurons whose predictions are published, for whoever looks
_MAX_BACKLOG_HOPS = 2  # more than this is skipped over, not caught up with
# That may wait where nothing is skipped; the front waits when it is a window ahead.
_PATIENT_WINDOWS = 10


@dataclass(frozen=True)
class Sample:
    """One encoder frame of activity as it came from the front."""

    header: messages.Activity
    values: Array


class Backlog:
    """Activity waiting for its hop, in order of index; holes are filled with NaN.

    Bounded: what is older than the window could not change the movie any more, so the
    oldest leave first, and `skipped` counts them.
    """

    def __init__(self, window_frames: int) -> None:
        self.skipped = 0
        self._limit = window_frames
        self._waiting: list[Sample] = []
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, sample: Sample) -> None:
        """Take in a sample; one that is not newer than the last is ignored."""
        index = sample.header.index
        if self._next is not None and index < self._next:
            return
        missing = 0 if self._next is None else min(index - self._next, self._limit)
        self._waiting += [*_lost(sample, missing), sample]
        self._next = index + 1
        excess = len(self._waiting) - self._limit
        if excess > 0:
            self.skipped += excess
            del self._waiting[:excess]

    def take(self, count: int) -> list[Sample]:
        """Return and forget the oldest `count`."""
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


def _lost(after: Sample, count: int) -> list[Sample]:
    """Return so many frames without activity that end just before the sample."""
    values, end = np.full_like(after.values, np.nan), after.header.index
    return [
        Sample(msgspec.structs.replace(after.header, index=index), values)
        for index in range(end - count, end)
    ]


class Inverter:
    """Two live inversions side by side: the recording, and a null.

    The null is given the same activity with the neurons' identities exchanged: what it
    finds is what nothing looks like. Held-out neurons enter neither.
    """

    def __init__(self, checkpoint: Checkpoint, settings: InvertSettings) -> None:
        _require(settings.device)
        self.settings = settings
        self._checkpoint = checkpoint
        n = checkpoint.model.n_neurons
        generator = torch.Generator().manual_seed(settings.seed)
        self.held_out = torch.rand(n, generator=generator) < settings.held_out
        self._exchange = _exchange(self.held_out, generator)
        self.live = self._inversion(settings.seed)
        self.null = self._inversion(settings.seed + 1) if settings.null else None
        self._notes: list[tuple[str, str]] = []
        self.begin()

    def begin(self) -> None:
        """Begin a session: what behaviour is unlike is told again. Movies go on."""
        self._unlike = Unlike()

    def advance(self, samples: list[Sample]) -> None:
        """Move both windows on by the samples, oldest first."""
        activity = torch.from_numpy(np.stack([sample.values for sample in samples]))
        behavior = self._behaved(samples)
        self.live.advance(activity, behavior)
        if self.null is not None:
            self.null.advance(activity[:, self._exchange], behavior)

    def refine(self, inversion: LiveInverter, deadline_s: float) -> int:
        """Take steps until the deadline (monotonic) or the limit; return how many."""
        if self.settings.deterministic:
            return self._all_steps(inversion)
        started, taken = time.monotonic(), 0
        while taken < self.settings.max_steps:
            now = time.monotonic()
            if taken and now + (now - started) / taken > deadline_s:
                break
            inversion.step(min(1.0, (now - started) / max(1e-3, deadline_s - started)))
            inversion.settle()
            taken += 1
        return taken

    def notes(self) -> list[tuple[str, str]]:
        """Return and forget what is to be told: an event's name, and a sentence."""
        found, self._notes = self._notes, []
        for inversion in (self.live, self.null):
            if inversion is not None:
                found += [("memory", note) for note in inversion.notes]
                inversion.notes.clear()
        return found

    def _all_steps(self, inversion: LiveInverter) -> int:
        count = self.settings.max_steps
        for taken in range(count):
            inversion.step(taken / count)
        return count

    def _inversion(self, seed: int) -> LiveInverter:
        problem = Problem.of(self._checkpoint, self.settings)
        weight = problem.weight * ~self.held_out.to(problem.device)
        own = replace(problem, weight=weight)
        return LiveInverter(own, self.settings.window_frames, seed)

    def _behaved(self, samples: list[Sample]) -> torch.Tensor:
        """Return (h, 4) z-scored; what is not known takes its mean in training."""
        calibration = self._checkpoint.calibration
        known = np.array([sample.header.behavior for sample in samples], np.float32)
        raw = torch.from_numpy(known)
        for sentence in self._unlike.sentences(calibration.outside(raw).numpy()):
            self._notes.append(("behavior", sentence))
        return calibration.scaled(raw)


def _require(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "invert.device = 'cuda', but torch finds no such device here; install a "
            "torch built for CUDA and its driver, or set invert.device = 'cpu'"
        )


def _exchange(held_out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return whose activity each neuron is given: another's, of its own group."""
    exchange = torch.arange(len(held_out))
    for group in (held_out, ~held_out):
        members = torch.nonzero(group)[:, 0]
        ring = members[torch.randperm(len(members), generator=generator)]
        exchange[ring] = ring.roll(1)
    return exchange


def silence(inverter: Inverter, n_frames: int) -> list[Sample]:
    """Return frames in which no neuron says anything, for trying how fast it goes."""
    lost = np.full(len(inverter.held_out), np.nan, np.float32)
    header = messages.Activity(session="", seq=0, t=0.0, index=0, frame=0, t_frame=0.0)
    return [Sample(header, lost)] * n_frames


class Process:
    """The loop around an `Inverter`: sockets, clock, counters."""

    def __init__(self, settings: Settings, front: Parent) -> None:
        checkpoint = load(find(settings.encoder.checkpoint or "demo"))
        self._checkpoint = checkpoint
        torch.set_num_threads(settings.invert.threads)
        device.choose(repeatable=settings.invert.deterministic)
        self._settings = settings.invert
        self._rate_hz = settings.align.rate_hz
        self._hop_s = self._settings.hop_frames / self._rate_hz
        self._spectrum: Spectrum = spectrum()
        self._inverter = Inverter(checkpoint, self._settings)
        self._identifiability = checkpoint.calibration.identifiability.numpy()
        self._n = checkpoint.model.n_neurons
        self._judge = Judge(
            self._inverter.held_out.numpy(),
            self._settings.hop_frames,
            self._settings.window_frames,
        )
        self._memory = MemoryMeter()
        self._front = front
        self._context: sockets.Context = zmq.Context()
        address = settings.wire
        self._keys = keys = keys_of_client(address)
        self._control = address.control
        self._inbox = sockets.connect(self._context, zmq.SUB, address.publish, keys)
        self._results = sockets.connect(self._context, zmq.PUSH, address.results, keys)
        self._publisher = Publisher(self._results)
        self._health_due_s = 0.0
        self._begin("")

    def run(self) -> None:
        """Invert until the front goes away or says so."""
        self._warm_up()
        self._catch_up()
        while True:
            for message, payload in self._received():
                if isinstance(message, messages.Event) and message.name == "shutdown":
                    return
                self._take(message, payload)
            if len(self._backlog) >= self._settings.hop_frames:
                self._hop()
            if time.monotonic() >= self._health_due_s:
                if not self._front.is_there():
                    return
                self._send_health()

    def _catch_up(self) -> None:
        """Take in what the front heard before this process was there."""
        try:
            _, parts = ask_attached(self._control, "history", self._keys)
        except ControlError:
            return  # a front that is only just starting has no past
        for first in range(0, len(parts), 3):
            self._take(*messages.decode_published(parts[first : first + 3]))
        if self._settings.deterministic:
            return  # nothing is passed over
        while len(self._backlog) > self._settings.hop_frames:
            self._inverter.advance(self._backlog.take(1))

    def close(self) -> None:
        """Close the sockets."""
        self._inbox.close()
        self._results.close()
        self._context.term()

    def _begin(self, session: str) -> None:
        self._publisher.begin(session)
        if self._settings.deterministic:
            self._inverter = Inverter(self._checkpoint, self._settings)
        room = _PATIENT_WINDOWS if self._settings.deterministic else 1
        self._backlog = Backlog(room * self._settings.window_frames)
        self._latency = {
            name: LatencyHistogram()
            for name in ("activity_to_movie", "frame_to_movie", "hop")
        }
        self._hops = self._steps = self._misses = 0

    def _received(self) -> Iterator[tuple[messages.Published, Array]]:
        """Wait a moment for messages, then drain all that have come."""
        wait_ms = _POLL_MS if len(self._backlog) < self._settings.hop_frames else 0
        if not self._inbox.poll(wait_ms):
            return
        while True:
            try:
                parts = self._inbox.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            yield messages.decode_published(parts)

    def _take(self, message: messages.Published, payload: Array) -> None:
        if isinstance(message, messages.Activity):
            if message.session != self._publisher.session:
                self._begin(message.session)
                self._judge.begin()
                self._inverter.begin()
            if len(payload) != self._n:
                raise UserError(
                    f"activity of {len(payload)} neurons came, the checkpoint knows "
                    f"{self._n}; use the masks that it was trained with"
                )
            self._backlog.add(Sample(message, payload))
        elif isinstance(message, messages.Seen):
            self._judge.saw(message.index, payload)

    def _hop(self) -> None:
        started = time.monotonic()
        hop = self._settings.hop_frames
        while not self._settings.deterministic and (
            len(self._backlog) >= (_MAX_BACKLOG_HOPS + 1) * hop
        ):
            skipped = self._backlog.take(hop)
            self._inverter.advance(skipped)
            self._misses += not skipped[-1].header.late
        samples = self._backlog.take(hop)
        self._inverter.advance(samples)
        share = 0.5 if self._inverter.null is not None else 1.0
        budget_s = self._settings.budget * self._hop_s * share
        taken = self._inverter.refine(self._inverter.live, started + budget_s)
        movie = self._spectrum.to_pixels(self._inverter.live.frames())
        self._publish_movie(samples[-1].header, movie, taken)
        self._judge_hop(samples[-1].header.index, movie, budget_s)
        self._tell(self._inverter)
        self._hops, self._steps = self._hops + 1, self._steps + taken
        taken_s = time.monotonic() - started
        self._latency["hop"].add(taken_s * 1e3)
        if taken_s > self._hop_s:
            self._misses += not samples[-1].header.late

    def _tell(self, inverter: Inverter) -> None:
        for name, sentence in inverter.notes():
            self._publisher.send(messages.Event, name=name, message=sentence)

    def _publish_movie(
        self, newest: messages.Activity, movie: Array, steps: int
    ) -> None:
        pixels = np.rint(movie).astype(np.uint8)
        self._publisher.send(
            messages.Movie,
            pixels,
            index=newest.index,
            final=self._settings.hop_frames,
            lag=(len(movie) - self._settings.hop_frames) / self._rate_hz,
            shape=pixels.shape,
            steps=steps,
            t_frame=newest.t_frame,
            information_fraction=self._inverter.live.information_fraction()
            .double()
            .numpy()
            .round(3)
            .tolist(),
        )
        if not newest.late:
            now = time.time()
            self._latency["activity_to_movie"].add((now - newest.t) * 1e3)
            self._latency["frame_to_movie"].add((now - newest.t_frame) * 1e3)

    def _judge_hop(self, index: int, movie: Array, budget_s: float) -> None:
        live, null = self._inverter.live, self._inverter.null
        predicted = live.predict().numpy()
        self._judge.hop(index, movie, predicted, live.activity.numpy())
        if null is not None:
            self._inverter.refine(null, time.monotonic() + budget_s)
            imagined = self._spectrum.to_pixels(null.frames())
            self._judge.null_hop(
                index, imagined, null.predict().numpy(), null.activity.numpy()
            )
        if self._hops % _QUALITY_EVERY_HOPS == 0:
            self._send_quality(index, self._held_out(index, predicted))

    def _held_out(self, index: int, predicted: Array) -> messages.HeldOut:
        """Return what the oldest frames say, as many as became final since the last."""
        count = _QUALITY_EVERY_HOPS * self._settings.hop_frames
        shown = np.flatnonzero(self._inverter.held_out.numpy())[:_SHOWN_HELD_OUT]
        return messages.HeldOut(
            index=index - len(predicted) + 1,
            neurons=shown.tolist(),
            predicted=predicted[:count, shown].astype(float).round(3).tolist(),
        )

    def _send_quality(self, index: int, held_out: messages.HeldOut) -> None:
        with_map = self._hops % _MAP_EVERY_HOPS == 0
        verdict = self._judge.verdict()
        self._publisher.send(
            messages.Quality,
            self._identifiability if with_map else b"",
            index=index,
            lag=self._settings.window_frames / self._rate_hz,
            activity_correlation=verdict.activity,
            null_correlation=verdict.null_activity,
            pixel_correlation=verdict.pixel,
            null_pixel_correlation=verdict.null_pixel,
            pixel_correlation_by_lag={
                f"{(block + 1) * self._hop_s:.2f}": r
                for block, r in enumerate(verdict.pixel_by_block)
                if r is not None
            },
            held_out=held_out,
            shape=self._identifiability.shape if with_map else None,
        )

    def _send_health(self) -> None:
        self._health_due_s = time.monotonic() + _HEALTH_EVERY_S
        memory_mb = self._memory.now_mb()
        self._publisher.send(
            messages.Health,
            station="inverter",
            state="running" if self._hops else "waiting",
            latency_ms={k: v.percentiles() for k, v in self._latency.items()},
            queue_depth={"activity": len(self._backlog)},
            lost={"activity": self._backlog.skipped, "results": self._publisher.lost},
            deadline_misses=self._misses,
            steps_per_hop=self._steps / max(1, self._hops),
            memory_mb=memory_mb,
            peak_memory_mb=self._memory.peak_mb,
        )

    def _warm_up(self) -> None:
        """Run both inversions once on nothing, so that the first hop is not slow."""
        spare = Inverter(self._checkpoint, self._settings)
        for inversion in (spare.live, spare.null):
            if inversion is not None:
                spare.refine(inversion, time.monotonic() + 0.5)
                inversion.predict()
        self._tell(spare)


def run(settings: Settings, front: Parent) -> None:
    """Run the inverter until its front goes away."""
    process = Process(settings, front)
    try:
        process.run()
    finally:
        process.close()
