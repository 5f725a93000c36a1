"""The react process: what is published in, events and what they set off out.

It waits for nothing but the next message, and answers each before it takes another.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict

import zmq

from rtrecon.closed_loop.output_worker import Worker
from rtrecon.closed_loop.readings import Activity
from rtrecon.closed_loop.rule import Change
from rtrecon.closed_loop.rules import Firing, Watched, outputs_of, read_rules
from rtrecon.config import Settings
from rtrecon.core.process import Parent
from rtrecon.core.types import Array
from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.control import ControlError, ask
from rtrecon.transport.keys import keys_of_client
from rtrecon.transport.publisher import Publisher

_POLL_MS = 100
_HEALTH_EVERY_S = 1.0


class Process:
    """The loop around the rules: sockets, clock, counters.

    Remembers the session, and how long it took from a frame (of rules on activity), or
    from the message (of others), to the event.
    """

    def __init__(self, settings: Settings, front: Parent) -> None:
        self._dry_run = settings.react.dry_run
        self._watched: dict[str, list[Watched]] = defaultdict(list)  # by topic
        for watched in read_rules(settings.react):
            self._watched[watched.reading.topic].append(watched)
        self._workers = {
            name: Worker(name, output)
            for name, output in outputs_of(settings.react).items()
        }
        self._front = front
        self._context: sockets.Context = zmq.Context()
        self._control, self._keys = settings.wire.control, keys_of_client(settings.wire)
        self._inbox = self._listening(settings)
        self._results = sockets.connect(
            self._context, zmq.PUSH, settings.wire.results, self._keys
        )
        self._publisher = Publisher(self._results)
        self._latency: dict[str, LatencyHistogram] = defaultdict(LatencyHistogram)
        self._memory = MemoryMeter()
        self._health_due_s = 0.0

    def run(self) -> None:
        """React until the front goes away or says so."""
        gc.freeze()  # what lives this long need not be looked through again
        while True:
            if self._inbox.poll(_POLL_MS) and self._drain():
                return
            self._tell_complaints()
            if time.monotonic() >= self._health_due_s:
                if not self._front.is_there():
                    return
                self._send_health()

    def close(self) -> None:
        """Let what is set off come to its end, and close the sockets."""
        for worker in self._workers.values():
            worker.close()
        self._inbox.close()
        self._results.close()
        self._context.term()

    def _listening(self, settings: Settings) -> sockets.Socket:
        """Subscribe to what rules look at, and to what tells sessions and the end."""
        inbox = sockets.connect(
            self._context, zmq.SUB, settings.wire.publish, self._keys
        )
        inbox.setsockopt(zmq.UNSUBSCRIBE, b"")
        for topic in {*self._watched, "event", "health"}:
            inbox.setsockopt(zmq.SUBSCRIBE, topic.encode())
        return inbox

    def _drain(self) -> bool:
        """Take all that has come; tells whether the daemon stops."""
        while True:
            try:
                parts = self._inbox.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return False
            message, payload = messages.decode_published(parts)
            if isinstance(message, messages.Event) and message.name == "shutdown":
                return True
            self._take(message, payload)

    def _take(self, message: messages.Published, payload: Array) -> None:
        if message.session != self._publisher.session:
            if not _is_told_by_front(message):
                return  # what the inverter still had to say of the session before
            self._begin(message.session)
        topic = str(type(message).__struct_config__.tag)
        for watched in self._watched.get(topic, ()):
            firing = watched.judge(message, payload)
            if firing is not None:
                self._react(firing, message)

    def _react(self, firing: Firing, message: messages.Published) -> None:
        """Tell the event first: it takes microseconds, and others wait for it."""
        own = firing.settings
        event = self._publisher.send(
            messages.Event,
            name=firing.change.value,
            message=firing.sentence,
            rule=own.name,
            value=firing.value,
            frame=getattr(message, "frame", None),
            t_frame=_newest_frame_s(message),
            dry_run=self._dry_run or own.dry_run,
        )
        if firing.change is Change.FIRED and not event.dry_run:
            for name in own.outputs:
                self._workers[name].fire(event)
        self._measure(event, message)

    def _measure(self, event: messages.Event, message: messages.Published) -> None:
        if isinstance(message, messages.Activity) and event.t_frame is not None:
            self._latency["frame_to_event"].add((event.t - event.t_frame) * 1e3)
        else:
            topic = str(type(message).__struct_config__.tag)
            self._latency[f"{topic}_to_event"].add((event.t - message.t) * 1e3)

    def _begin(self, session: str) -> None:
        self._publisher.begin(session)
        self._latency.clear()
        for worker in self._workers.values():
            worker.latency = LatencyHistogram()
        for watched in self._all():
            watched.rule.begin()
        if session:
            self._find_neurons()

    def _find_neurons(self) -> None:
        """Learn where in the activity each neuron of a group is."""
        groups = [
            (watched.rule.settings.name, watched.reading)
            for watched in self._all()
            if isinstance(watched.reading, Activity) and watched.reading.ids is not None
        ]
        if not groups:
            return
        try:
            known = ask(self._control, "neurons", self._keys)["ids"]
        except ControlError as error:
            known = []
            self._tell(f"which neurons there are is not known: {error}")
        for name, reading in groups:
            if missing := reading.find(known):
                self._tell(
                    f"rule '{name}' is off: this session has no neurons {missing[:9]}"
                )

    def _all(self) -> list[Watched]:
        return [watched for each in self._watched.values() for watched in each]

    def _tell_complaints(self) -> None:
        for worker in self._workers.values():
            for sentence in worker.complaints():
                self._tell(sentence)

    def _tell(self, sentence: str) -> None:
        self._publisher.send(messages.Event, name="reactor", message=sentence)

    def _send_health(self) -> None:
        self._health_due_s = time.monotonic() + _HEALTH_EVERY_S
        workers = self._workers.values()
        latency = self._latency | {f"frame_to_{w.name}": w.latency for w in workers}
        memory_mb = self._memory.now_mb()
        self._publisher.send(
            messages.Health,
            station="reactor",
            state="running" if self._publisher.session else "waiting",
            latency_ms={k: v.percentiles() for k, v in latency.items()},
            lost={
                "outputs": sum(worker.lost for worker in workers),
                "results": self._publisher.lost,
            },
            memory_mb=memory_mb,
            peak_memory_mb=self._memory.peak_mb,
        )


def _is_told_by_front(message: messages.Published) -> bool:
    """Tell whether a message says which session it is now."""
    if isinstance(message, messages.Health):
        return message.station == "front"
    if isinstance(message, messages.Event):
        return message.name == "session"
    return isinstance(message, messages.Activity | messages.Field | messages.Seen)


def _newest_frame_s(message: messages.Published) -> float | None:
    """Return when the newest frame that a message knows of was received."""
    if isinstance(message, messages.Activity):
        return message.t_frame if message.t_newest is None else message.t_newest
    return message.t_frame if isinstance(message, messages.Movie) else None


def run(settings: Settings, front: Parent) -> None:
    """Run the reactor until its front goes away."""
    process = Process(settings, front)
    try:
        process.run()
    finally:
        process.close()
