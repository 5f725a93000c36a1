"""The front: sockets, sessions, the inverter and the answers; one loop, one thread.

It never waits for torch, a screen or a disk. What a session's messages go through is in
`pipeline`; here is when sessions begin and end, what is counted, and who is told.
"""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from rtrecon import recording, wire
from rtrecon.acquire.chain import Chain
from rtrecon.acquire.ingest import Ingest, Kind, Throttle, Verdict
from rtrecon.acquire.neuropil import with_rings
from rtrecon.config import Settings
from rtrecon.control import Answer, Control, Request
from rtrecon.doors import Doors
from rtrecon.neurons import read_neurons
from rtrecon.pipeline import Arrived, Pipeline
from rtrecon.publisher import Publisher
from rtrecon.quality.memory import MemoryMeter
from rtrecon.record.store import Recorder
from rtrecon.rois import from_pixels
from rtrecon.saved import earlier_part
from rtrecon.supervise import Child
from rtrecon.wire import Array

_POLL_MS = 20
_HEALTH_EVERY_S = 1.0
_MAX_FRAMES = 64  # taken in one go, so that the rest of the loop is not held up
_MAX_RESULTS = 16
_CATCH_UP_S = 20.0  # the most that frames which wait may hold up an end
_USUAL_SHAPE = (512, 512)  # warmed up for where no encoder says how large the field is
_SWITCH_S = 0.0005  # how long the recording thread may keep the loop from running

Log = Callable[[str], None]


class Front:
    """One daemon; `run` is its life.

    Remembers the sockets, the current session's pipeline, and whether to record. Losses
    are counted by `Ingest`, refusals reported at most once a second per kind.
    """

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._neurons = read_neurons(settings)
        self._doors = Doors.bind(settings.wire)
        self._publisher = Publisher(self._doors.out)
        self._control = Control(self._doors.requests, self._operations())
        self._child = Child(settings) if self._neurons.card else None
        self._ingest = Ingest()
        self._throttle = Throttle()
        self._memory = MemoryMeter()
        self._pipeline: Pipeline | None = None
        self._recording = settings.record.enabled
        self._state = "starting"
        self._stopping = self._told_failure = self._inverting = False
        self._ending = False  # no further frame is expected for a while
        self._heard_s = self._health_due_s = 0.0

    def run(self) -> None:
        """Warm up, then serve until asked to stop."""
        if self._child:
            self._child.start(time.monotonic())
        self._warm_up()
        self._state = "waiting"
        self._log(f"ready: frames are expected at {self._settings.wire.frames}")
        poller = self._doors.poller()
        try:
            while not self._stopping:
                poller.poll(0 if self._behind() else _POLL_MS)
                self._once(time.monotonic())
        finally:
            self._finish()

    def stop(self) -> None:
        """Ask the loop to end."""
        self._stopping = True

    def close(self) -> None:
        """Close the sockets."""
        self._doors.close()

    def _once(self, now_s: float) -> None:
        self._take_frames()
        self._go_on()
        self._take_results()
        self._control.answer_waiting()
        loss = self._child.check(now_s) if self._child else None
        if loss:
            self._inverting = False
            self._event("inverter", loss.sentence)
        self._watch_silence(now_s)
        if now_s >= self._health_due_s:
            self._health_due_s = now_s + _HEALTH_EVERY_S
            self._send_health()

    def _finish(self) -> None:
        self._catch_up()
        self._state = "stopped"
        self._send_health()
        self._event("shutdown", "the daemon stops")
        if self._child:
            self._child.stop()
        self._take_results()
        recorder = self._recorder()
        if recorder:
            recorder.close()

    # -- in ------------------------------------------------------------------------

    def _take_frames(self) -> None:
        for _ in range(_MAX_FRAMES):
            try:
                parts = self._doors.frames.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self._accept(parts, time.time())

    def _accept(self, parts: list[Any], t_received: float) -> None:
        try:
            message, payload = wire.decode(parts)
        except wire.WireError as error:
            self._refuse(self._ingest.reject(str(error)).sentence)
            return
        verdict = self._ingest.accept(message)
        self._heard_s = time.monotonic()
        self._tell_losses(verdict)
        if verdict.kind is Kind.REFUSED:
            self._refuse(verdict.sentence)
        elif verdict.kind is Kind.SESSION and isinstance(message, wire.Start):
            self._begin(message)
        elif verdict.kind is Kind.END and isinstance(message, wire.End):
            self._end(message)
        elif self._pipeline is not None and verdict.kind is not Kind.IGNORE:
            self._pass_on(self._pipeline, message, payload, t_received)

    def _pass_on(
        self,
        pipeline: Pipeline,
        message: wire.Incoming,
        payload: Array,
        t_received: float,
    ) -> None:
        refusal = None
        if isinstance(message, wire.Frame):
            self._ending = False
            pipeline.frame(Arrived(message, payload, t_received))
            self._state = "calibrating"  # until `_go_on` finds it done
        elif isinstance(message, wire.Behavior):
            pipeline.behavior(message)
        elif isinstance(message, wire.Stimulus):
            refusal = pipeline.stimulus(message, payload)
        if refusal:
            self._refuse(refusal)

    def _go_on(self) -> None:
        """Catch up with frames that had to wait, and tell what came of it."""
        if self._pipeline is None:
            return
        self._pipeline.go_on(time.monotonic(), ending=self._ending)
        for notice in self._pipeline.notices():
            self._event("reference", notice)
        if self._ending and not self._pipeline.waiting:
            self._state = "idle"
        elif self._state == "calibrating" and not self._pipeline.calibrating:
            self._state = "running"

    def _behind(self) -> bool:
        pipeline = self._pipeline
        return bool(pipeline and pipeline.waiting and not pipeline.calibrating)

    def _catch_up(self) -> None:
        """Before the end, process what came, if that takes no more than seconds."""
        self._ending = True
        deadline_s = time.monotonic() + _CATCH_UP_S
        while self._pipeline and self._pipeline.waiting:
            self._go_on()
            if time.monotonic() > deadline_s:
                return

    def _begin(self, start: wire.Start) -> None:
        self._catch_up()
        self._retire()
        self._publisher.begin(start.session)
        self._told_failure = self._ending = False
        layout = _layout(start)
        try:
            field = self._neurons.field(start.shape, len(start.planes))
            pipeline = Pipeline(start, field, self._settings, self._publisher)
        except ValueError as error:
            self._state = "refused"
            self._event("refused", f"session from {start.source}, {layout}: {error}")
            return
        self._pipeline = pipeline
        self._resume(pipeline)
        if self._recording:
            pipeline.recorder = recording.new_recorder(pipeline, self._settings)
        self._event(
            "session",
            f"session from {start.source}: {layout}, {len(field.rois)} neurons",
        )

    def _resume(self, pipeline: Pipeline) -> None:
        """Go on where a daemon before this one was stopped in the same session."""
        start, folder = pipeline.start, Path(self._settings.record.folder)
        earlier = earlier_part(folder, start.session, len(start.planes))
        if earlier is not None:
            pipeline.resume(earlier)

    def _warm_up(self) -> None:
        """Compile kernels and settle memory, so that the first frame is not slow."""
        card, settings = self._neurons.card, self._settings
        shape = card.rois.shape if card else _USUAL_SHAPE
        scene = np.random.default_rng(0).random(shape).astype(np.float32)
        nobody = from_pixels(np.zeros(0, np.int64), shape, [])
        masks = with_rings(nobody, settings.traces)
        Chain(scene, masks, settings.align.rate_hz, settings).warm_up()
        sys.setswitchinterval(_SWITCH_S)
        gc.freeze()  # what lives this long need not be looked through again

    def _end(self, message: wire.End) -> None:
        self._ending = True
        self._event(
            "end",
            f"the sender ended ({message.reason}): {message.frames} frames sent, "
            f"{message.dropped} dropped",
            value=message.frames,
        )

    def _watch_silence(self, now_s: float) -> None:
        timeout_s = self._settings.wire.idle_timeout_s
        live = self._state in ("running", "calibrating") and not self._ending
        if live and now_s - self._heard_s > timeout_s:
            self._ending = True
            self._event(
                "silence",
                f"nothing has come for {timeout_s:g} s; the session counts as ended",
            )

    # -- out -----------------------------------------------------------------------

    def _take_results(self) -> None:
        for _ in range(_MAX_RESULTS):
            try:
                parts = self._doors.results.recv_multipart(zmq.DONTWAIT)
                message, payload = wire.decode_published(parts)
                recorder = self._recorder()
                if recorder and message.session == self._publisher.session:
                    recording.record_result(recorder, message, payload)
            except zmq.Again:
                return
            except ValueError as error:
                self._refuse(f"a result was refused: {error}")
                continue
            self._inverting |= isinstance(message, wire.Health)
            self._publisher.forward(parts)

    def _send_health(self) -> None:
        counts, pipeline, recorder = (
            self._ingest.counts,
            self._pipeline,
            self._recorder(),
        )
        health = self._publisher.send(
            wire.Health,
            station="front",
            state=self._state,
            rate_hz=pipeline.rate.rate_hz(time.monotonic()) if pipeline else 0.0,
            frames_received=counts.received,
            frames_processed=pipeline.processed if pipeline else 0,
            rejected=counts.rejected,
            gaps=counts.gaps,
            latency_ms={
                name: histogram.percentiles()
                for name, histogram in (pipeline.latency if pipeline else {}).items()
            },
            lost={
                "record": recorder.lost if recorder else 0,
                "publish": self._publisher.lost,
                "sender": counts.dropped,
                "reference": pipeline.unusable if pipeline else 0,
                "unpaired": pipeline.unpaired if pipeline else 0,
            },
            untrusted=dict(pipeline.untrusted) if pipeline else {},
            realtime_factor=pipeline.realtime_factor() if pipeline else 0.0,
            memory_mb=self._memory.now_mb(),
            peak_memory_mb=self._memory.peak_mb,
            disk_free_gb=recording.disk_free_gb(self._settings),
        )
        if recorder:
            recorder.health(health)
            self._watch_disk(recorder)

    def _watch_disk(self, recorder: Recorder) -> None:
        if recorder.failure and not self._told_failure:
            self._told_failure = True
            self._event("recording", recorder.failure)

    def _event(self, name: str, message: str, value: float | None = None) -> None:
        self._log(message)
        event = self._publisher.send(
            wire.Event, name=name, message=message, value=value
        )
        recorder = self._recorder()
        if recorder:
            recorder.event(event)

    def _tell_losses(self, verdict: Verdict) -> None:
        for count, where in (
            (verdict.lost_wire, "messages were lost on the wire"),
            (verdict.lost_source, "frames were lost before the sender"),
        ):
            if count:
                self._event("gap", f"{count} {where}", value=count)

    def _refuse(self, sentence: str) -> None:
        told = self._throttle.offer(sentence, time.monotonic())
        if told:
            self._event("refused", told)

    # -- requests ------------------------------------------------------------------

    def _operations(self) -> dict[str, Callable[[Request], Answer]]:
        return {
            "status": self._status,
            "mark": self._mark,
            "record": self._record,
            "reference": self._reference,
            "history": self._history,
            "stop": self._stop,
        }

    def _status(self, _: Request) -> Answer:
        recorder, pipeline = self._recorder(), self._pipeline
        processed = pipeline.processed if pipeline else 0
        return {
            "state": self._state,
            "session": self._publisher.session,
            "frames_processed": processed,
            "recording": str(recorder.path) if recorder else None,
            "inverting": self._inverting,  # the inverter is up and has said so
            "inverter_pid": self._child.pid if self._child else None,
            "inverter_restarts": self._child.restarts if self._child else 0,
            "sentence": f"{self._state}, {processed} frames processed",
        }

    def _mark(self, request: Request) -> Answer:
        self._event("mark", request.note)
        return {"sentence": "noted"}

    def _record(self, request: Request) -> Answer:
        self._recording = request.on
        if not request.on:
            self._retire_recorder()
        elif self._pipeline and not self._pipeline.recorder:
            self._pipeline.recorder = recording.new_recorder(
                self._pipeline, self._settings
            )
        return {"sentence": f"recording is {'on' if request.on else 'off'}"}

    def _reference(self, _: Request) -> Answer:
        if self._pipeline is None:
            return {"ok": False, "sentence": "no session is running"}
        self._pipeline.retake_reference()
        return {"sentence": "a new reference is made of the next frames"}

    def _history(self, _: Request) -> Answer:
        """The newest activity messages, three parts each, oldest first."""
        kept = self._pipeline.history if self._pipeline else ()
        parts = [part for message in kept for part in message]
        return {"sentence": f"{len(kept)} activity messages", "attached": parts}

    def _stop(self, _: Request) -> Answer:
        self.stop()
        return {"sentence": "stopping"}

    # -- recording -----------------------------------------------------------------

    def _recorder(self) -> Recorder | None:
        return self._pipeline.recorder if self._pipeline else None

    def _retire(self) -> None:
        """Let go of the session that is over."""
        self._retire_recorder()
        if self._pipeline:
            self._pipeline.close()
        self._pipeline = None

    def _retire_recorder(self) -> None:
        recorder = self._recorder()
        if self._pipeline and recorder:
            self._pipeline.recorder = None
            recording.retire(recorder)


def _layout(start: wire.Start) -> str:
    lines, pixels = start.shape
    planes = f"{len(start.planes)} planes of " if len(start.planes) > 1 else ""
    channels = f", channels {start.channels}" if len(start.channels) > 1 else ""
    return f"{planes}{lines} x {pixels} at {start.rate_hz:g} Hz{channels}"


@contextmanager
def _stopped_by_signals(front: Front) -> Iterator[None]:
    def ask(*_: object) -> None:
        front.stop()

    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, ask) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def run(settings: Settings, log: Log) -> None:
    """Run a daemon until it is asked to stop; raises UserError with a sentence."""
    front = Front(settings, log)
    try:
        with _stopped_by_signals(front):
            front.run()
    finally:
        front.close()
