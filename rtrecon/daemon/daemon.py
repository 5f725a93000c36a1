"""The front: sockets, sessions, the inverter and the answers; one loop, one thread.

It never waits for torch, a screen or a disk. What a session's messages go through is in
`pipeline`; here is when sessions begin and end, what is counted, and who is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import zmq

from rtrecon.closed_loop.rules import read_rules
from rtrecon.config import Settings
from rtrecon.core.process import ended_by_signals
from rtrecon.core.types import Array
from rtrecon.daemon import recording
from rtrecon.daemon.backpressure import Backpressure
from rtrecon.daemon.field_neurons import read_neurons
from rtrecon.daemon.health import vitals
from rtrecon.daemon.ingest import Ingest, Kind, Throttle, Verdict
from rtrecon.daemon.pipeline import Arrived, Pipeline
from rtrecon.daemon.rate_limits import Limits
from rtrecon.daemon.report_writer import Reports
from rtrecon.daemon.rpc_handlers import operations
from rtrecon.daemon.sockets import Doors
from rtrecon.daemon.warm_up import warm_up
from rtrecon.daemon.watchdog import Watch
from rtrecon.daemon.worker_processes import Stations
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.protocol import messages
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import earlier_part
from rtrecon.transport.control import Answer, Control
from rtrecon.transport.publisher import Publisher

_POLL_MS = 20
_HEALTH_EVERY_S = 1.0
_MAX_FRAMES = 64  # taken in one go, so that the rest of the loop is not held up
_MAX_RESULTS = 16
_HELD_S = 0.002  # before it is looked again whether held frames may come in
_CATCH_UP_S = 20.0  # the most that frames which wait may hold up an end
_LIVE = ("running", "calibrating", "stalled")  # states in which frames are expected

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
        rules = read_rules(settings.react)
        self._doors = Doors.bind(settings.wire)
        self._publisher = Publisher(self._doors.out)
        self._control = Control(self._doors.requests, operations(self))
        inverts = self._neurons.card is not None
        self._stations = Stations(settings, inverts, reacts=bool(rules))
        self._pace = Backpressure(settings.invert, has_inverter=inverts)
        self._ingest = Ingest()
        self._throttle = Throttle()
        # Where frames wait rather than get lost, so does what comes beside them.
        waits = settings.invert.deterministic
        self._limits = Limits(inf if waits else settings.wire.asides_hz)
        self._watch = Watch(settings.wire.stall_s)
        self._memory = MemoryMeter()
        self._pipeline: Pipeline | None = None
        self._recording = settings.record.enabled
        self._reports = Reports(settings.record)
        self._state = "starting"
        self._stopping = self._told_failure = False
        self._ending = False  # no further frame is expected for a while
        self._heard_s = self._health_due_s = 0.0

    def run(self) -> None:
        """Warm up, then serve until asked to stop."""
        self._stations.start()
        warm_up(self._neurons.shape, self._settings)
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
        for sentence in self._doors.keep():
            self._refuse(sentence)
        self._take_frames()
        self._go_on()
        self._take_results()
        self._control.answer_waiting()
        self._tell_lost_stations(now_s)
        self._watch_silence(now_s)
        self._reports.watch(self._recorder(), self._state == "idle", now_s)
        self._tell_stalls(now_s)
        if now_s >= self._health_due_s:
            self._health_due_s = now_s + _HEALTH_EVERY_S
            self._send_health()

    def _finish(self) -> None:
        self._catch_up()
        self._state = "stopped"
        self._send_health()
        self._event("shutdown", "the daemon stops")
        self._stations.stop()
        self._take_results()
        recorder = self._recorder()
        if recorder:
            recording.finish(recorder, self._reports)

    # -- in ------------------------------------------------------------------------

    def _take_frames(self) -> None:
        for _ in range(_MAX_FRAMES):
            if self._pace.holds(self._pipeline):
                self._heard_s = time.monotonic()  # what we do not take is no silence
                self._watch.frame(self._heard_s)
                time.sleep(_HELD_S)
                return
            try:
                parts = self._doors.frames.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self._accept(parts, time.time())

    def _accept(self, parts: list[Any], t_received: float) -> None:
        try:
            message, payload = messages.decode(parts)
        except messages.WireError as error:
            self._refuse(self._ingest.reject(str(error)).sentence)
            return
        if too_much := self._limits.refusal(message, time.monotonic()):
            self._refuse(self._ingest.refuse(message, too_much).sentence)
            return
        verdict = self._ingest.accept(message)
        self._heard_s = time.monotonic()
        self._keep(verdict, parts, t_received)
        self._tell_losses(verdict)
        if verdict.kind is Kind.REFUSED:
            self._refuse(verdict.sentence)
        elif verdict.kind is Kind.SESSION and isinstance(message, messages.Start):
            self._begin(message)
        elif verdict.kind is Kind.END and isinstance(message, messages.End):
            self._end(message)
        elif self._pipeline is not None and verdict.kind is not Kind.IGNORE:
            self._pass_on(self._pipeline, message, payload, t_received)

    def _keep(self, verdict: Verdict, parts: list[Any], t_received: float) -> None:
        """Record all that comes, also what is refused: a replay then is the same."""
        recorder = self._recorder()
        if recorder and verdict.kind is not Kind.SESSION:
            recorder.incoming(parts, t_received)

    def _pass_on(
        self,
        pipeline: Pipeline,
        message: messages.Incoming,
        payload: Array,
        t_received: float,
    ) -> None:
        refusal = None
        if isinstance(message, messages.Frame):
            self._ending = False
            self._watch.frame(time.monotonic())
            pipeline.frame(Arrived(message, payload, t_received))
            self._state = "calibrating"  # until `_go_on` finds it done
        elif isinstance(message, messages.Sync):
            pipeline.sync(message, t_received)
        elif isinstance(message, messages.Behavior | messages.Stimulus):
            refusal = pipeline.timed(message, payload)
        if refusal:
            self._refuse(refusal)

    def _go_on(self) -> None:
        """Catch up with frames that had to wait, and tell what came of it."""
        if self._pipeline is None:
            return
        if self._pipeline.making or not self._pace.holds(self._pipeline):
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
            self._take_results()  # which it may be held up for
            if time.monotonic() > deadline_s:
                return

    def _begin(self, start: messages.Start) -> None:
        self._catch_up()
        self._retire()
        self._publisher.begin(start.session)
        self._watch.begin(start.rate_hz)
        self._pace.begin()
        self._told_failure = self._ending = False
        layout = _layout(start)
        try:
            field = self._neurons.of(start)
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

    def _end(self, message: messages.End) -> None:
        self._ending = True
        self._event(
            "end",
            f"the sender ended ({message.reason}): {message.frames} frames sent, "
            f"{message.dropped} dropped",
            value=message.frames,
        )

    def _tell_lost_stations(self, now_s: float) -> None:
        for name, loss in self._stations.losses(now_s):
            self._event(name, loss.sentence)
            if name == "inverter":
                self._watch.inverter.rest()
                if loss.final:
                    self._pace.give_up()

    def _tell_stalls(self, now_s: float) -> None:
        if self._ending:
            self._watch.frames.rest()
        for name, sentence in self._watch.notices(now_s):
            self._event(name, sentence)
        if self._watch.frames.is_told:
            self._state = "stalled"

    def _watch_silence(self, now_s: float) -> None:
        timeout_s = self._settings.wire.idle_timeout_s
        live = self._state in _LIVE and not self._ending
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
                self._pass_back(*messages.decode_published(parts), parts)
            except zmq.Again:
                return
            except ValueError as error:
                self._refuse(f"a result was refused: {error}")

    def _pass_back(
        self, message: messages.Published, payload: Array, parts: list[Any]
    ) -> None:
        """Record and publish what another station found."""
        if isinstance(message, messages.Event):
            message = self._publisher.numbered(message)
            parts = messages.encode_published(message)
        recorder = self._recorder()
        if recorder and message.session == self._publisher.session:
            recording.record_result(recorder, message, payload)
        if isinstance(message, messages.Movie):
            self._pace.told(message.index)
        if isinstance(message, messages.Health):
            self._stations.spoke(message.station, time.monotonic())
        if isinstance(message, messages.Health) and message.station == "inverter":
            self._watch.health(time.monotonic())
        self._publisher.forward(parts)
        if isinstance(message, messages.Event) and not message.rule:
            self._log(message.message)

    def _send_health(self) -> None:
        figures = vitals(self._ingest.counts, self._pipeline)
        figures["lost"]["publish"] = self._publisher.lost
        health = self._publisher.send(
            messages.Health,
            station="front",
            state=self._state,
            memory_mb=self._memory.now_mb(),
            peak_memory_mb=self._memory.peak_mb,
            disk_free_gb=recording.disk_free_gb(self._settings),
            **figures,
        )
        recorder = self._recorder()
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
            messages.Event, name=name, message=message, value=value
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

    @property
    def pipeline(self) -> Pipeline | None:
        """The session under way."""
        return self._pipeline

    def status(self) -> Answer:
        """Return a whole snapshot, for who comes late."""
        recorder, inverter = self._recorder(), self._stations.inverter
        processed = self._pipeline.processed if self._pipeline else 0
        return {
            "state": self._state,
            "session": self._publisher.session,
            "frames_processed": processed,
            "recording": str(recorder.path) if recorder else None,
            "inverting": self._stations.inverting,
            "inverter_pid": inverter.pid if inverter else None,
            "inverter_restarts": inverter.restarts if inverter else 0,
            "sentence": f"{self._state}, {processed} frames processed",
        }

    def mark(self, note: str) -> None:
        """Publish and record a note."""
        self._event("mark", note)

    def record(self, on: bool) -> None:
        """Record from now on, or no longer."""
        self._recording = on
        if not on:
            self._retire_recorder()
        elif self._pipeline and not self._pipeline.recorder:
            self._pipeline.recorder = recording.new_recorder(
                self._pipeline, self._settings
            )

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
            recording.retire(recorder, self._reports)


def _layout(start: messages.Start) -> str:
    if start.units is not None:
        return f"rates at {start.rate_hz:g} Hz"
    lines, pixels = start.shape
    planes = f"{len(start.planes)} planes of " if len(start.planes) > 1 else ""
    channels = f", channels {start.channels}" if len(start.channels) > 1 else ""
    return f"{planes}{lines} x {pixels} at {start.rate_hz:g} Hz{channels}"


def run(settings: Settings, log: Log) -> None:
    """Run a daemon until it is asked to stop; raises UserError with a sentence."""
    front = Front(settings, log)
    try:
        with ended_by_signals(front.stop):
            front.run()
    finally:
        front.close()
