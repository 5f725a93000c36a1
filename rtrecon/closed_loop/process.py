"""The closed-loop process: receives published messages, publishes events of rules.

It waits only for the next message, and processes each message before it receives the
next one.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Iterator

import zmq

from rtrecon.closed_loop.output_worker import OutputWorker
from rtrecon.closed_loop.readings import ActivityReading
from rtrecon.closed_loop.rule import RuleChange
from rtrecon.closed_loop.rules import (
    BoundRule,
    RuleEvent,
    bind_rules,
    make_outputs,
    make_requests,
)
from rtrecon.config import Settings
from rtrecon.core.process import ParentProcess
from rtrecon.core.types import Array
from rtrecon.encoder.card import read_stimulus_space
from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.protocol import messages
from rtrecon.stimulus_space.registry import find_space
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.transport import sockets
from rtrecon.transport.keys import get_client_keys
from rtrecon.transport.publisher import Publisher
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.subscriber import Subscriber

_POLL_S = 0.1
_MAX_IDS_SHOWN = 9


class ClosedLoopProcess:
    """Sockets, rules, outputs and counters of the closed loop.

    Measures the latency from a frame to the event (rules on activity), or from the
    message to the event (other rules).
    """

    def __init__(self, settings: Settings, daemon: ParentProcess) -> None:
        self._settings = settings.closed_loop
        self._rules: dict[str, list[BoundRule]] = defaultdict(list)  # by topic
        space = _find_space(settings)
        for rule in bind_rules(settings.closed_loop, space):
            self._rules[rule.reading.topic].append(rule)
        self._workers = {
            name: OutputWorker(name, output)
            for name, output in make_outputs(settings.closed_loop).items()
        }
        self._daemon = daemon
        network = settings.network
        self._context: sockets.Context = zmq.Context()
        self._control, self._keys = network.control, get_client_keys(network)
        # The topics of the rules, and those of sessions and of the shutdown.
        topics = {*self._rules, "event", "health"}
        self._subscriber = Subscriber(
            network.publish, self._keys, topics, context=self._context
        )
        self._results = sockets.connect_socket(
            self._context, zmq.PUSH, network.results, self._keys
        )
        self._publisher = Publisher(self._results)
        self._latency: dict[str, LatencyHistogram] = defaultdict(LatencyHistogram)
        self._memory = MemoryMeter()
        self._health_interval_s = network.health_interval_s
        self._next_health_s = 0.0

    def run(self) -> None:
        """Process messages until the daemon stops or is gone."""
        gc.freeze()  # long-lived objects need not be searched for garbage again
        while True:
            if self._subscriber.wait(_POLL_S) and self._process_pending():
                return
            self._publish_output_errors()
            if time.monotonic() >= self._next_health_s:
                if not self._daemon.is_running():
                    return
                self._publish_health()

    def close(self) -> None:
        """Let the outputs finish, and close the sockets."""
        for worker in self._workers.values():
            worker.close()
        self._subscriber.close()
        self._results.close()
        self._context.term()

    def _process_pending(self) -> bool:
        """Process all messages that have arrived; return whether the daemon stops."""
        while received := self._subscriber.receive():
            message, payload = received
            if isinstance(message, messages.Event) and message.name == "shutdown":
                return True
            self._process_message(message, payload)
        return False

    def _process_message(
        self, message: messages.PublishedMessage, payload: Array
    ) -> None:
        if message.session != self._publisher.session:
            if not _comes_from_daemon(message):
                return  # a late result of the session before
            self._begin_session(message.session)
        if isinstance(message, messages.Health) and message.frame_interval_s:
            for bound in self._all_rules():
                bound.rule.rate_hz = 1 / message.frame_interval_s
        for rule in self._rules.get(messages.message_type(message), ()):
            rule_event = rule.update(message, payload)
            if rule_event is not None:
                self._publish_and_trigger(rule_event, message)

    def _publish_and_trigger(
        self, rule_event: RuleEvent, message: messages.PublishedMessage
    ) -> None:
        """Publish the event first: that takes microseconds, and subscribers wait."""
        rule = rule_event.settings
        is_dry = self._settings.dry_run or rule.dry_run
        is_active = rule_event.change is RuleChange.FIRED and not is_dry
        event = self._publisher.publish(
            messages.Event,
            name=rule_event.change.value,
            message=rule_event.sentence,
            rule=rule.name,
            value=rule_event.value,
            frame=getattr(message, "frame", None),
            t_frame=_newest_frame_time_s(message),
            dry_run=is_dry,
            requests=make_requests(rule, self._settings) if is_active else [],
        )
        if is_active:
            for name in rule.outputs:
                if name in self._workers:
                    self._workers[name].trigger(event)
        self._measure_latency(event, message)

    def _measure_latency(
        self, event: messages.Event, message: messages.PublishedMessage
    ) -> None:
        if isinstance(message, messages.Activity) and event.t_frame is not None:
            latency_s = event.t - event.t_frame
            self._latency["frame_to_event"].add_latency(latency_s * 1e3)
        else:
            name = f"{messages.message_type(message)}_to_event"
            self._latency[name].add_latency((event.t - message.t) * 1e3)

    def _begin_session(self, session: str) -> None:
        self._publisher.begin_session(session)
        self._latency.clear()
        for worker in self._workers.values():
            worker.latency = LatencyHistogram()
        for bound in self._all_rules():
            bound.rule.start_session()
        if session:
            self._find_neurons()

    def _find_neurons(self) -> None:
        """Find the neurons of each rule in the activity of this session."""
        readings = [
            (bound.rule.settings.name, bound.reading)
            for bound in self._all_rules()
            if isinstance(bound.reading, ActivityReading)
            and bound.reading.ids is not None
        ]
        if not readings:
            return
        try:
            session_ids = call_daemon(self._control, "neurons", self._keys)["ids"]
        except RpcError as error:
            session_ids = []
            self._publish_notice(f"the ids of the neurons are unknown: {error}")
        for name, reading in readings:
            if missing := reading.find_neurons(session_ids):
                self._publish_notice(
                    f"rule '{name}' is off: this session has no neurons "
                    f"{missing[:_MAX_IDS_SHOWN]}"
                )

    def _all_rules(self) -> Iterator[BoundRule]:
        for rules in self._rules.values():
            yield from rules

    def _publish_output_errors(self) -> None:
        for worker in self._workers.values():
            for sentence in worker.take_errors():
                self._publish_notice(sentence)

    def _publish_notice(self, sentence: str) -> None:
        self._publisher.publish(messages.Event, name="closed_loop", message=sentence)

    def _publish_health(self) -> None:
        self._next_health_s = time.monotonic() + self._health_interval_s
        workers = self._workers.values()
        latency = self._latency | {f"frame_to_{w.name}": w.latency for w in workers}
        memory_mb = self._memory.measure_mb()
        self._publisher.publish(
            messages.Health,
            process="closed_loop",
            state="running" if self._publisher.session else "waiting",
            latency_ms={name: h.percentiles() for name, h in latency.items()},
            lost={
                "outputs": sum(worker.n_lost for worker in workers),
                "results": self._publisher.n_lost,
            },
            memory_mb=memory_mb,
            peak_memory_mb=self._memory.peak_mb,
        )


def _comes_from_daemon(message: messages.PublishedMessage) -> bool:
    """Return whether the daemon itself sent it; it knows when a session begins."""
    if isinstance(message, messages.Health):
        return message.process == "daemon"
    if isinstance(message, messages.Event):
        return message.name == "session"
    return isinstance(
        message,
        messages.Activity
        | messages.FieldImage
        | messages.AlignedStimulus
        | messages.DishCounts,
    )


def _newest_frame_time_s(message: messages.PublishedMessage) -> float | None:
    """Return when the newest frame that went into the message was received."""
    if isinstance(message, messages.Activity):
        newest = message.t_newest_frame
        return message.t_frame if newest is None else newest
    return message.t_frame if isinstance(message, messages.Movie) else None


def run_closed_loop(settings: Settings, daemon: ParentProcess) -> None:
    """Run the closed loop until the daemon stops."""
    process = ClosedLoopProcess(settings, daemon)
    try:
        process.run()
    finally:
        process.close()


def _find_space(settings: Settings) -> StimulusSpace:
    """Return the space of the stimuli: the encoder's, or as the settings say."""
    encoder = settings.encoder
    if encoder.checkpoint:
        return read_stimulus_space(encoder.checkpoint)
    rate_hz = settings.timing.encoder_rate_hz
    return find_space(encoder.stimulus, encoder.stimulus_size, rate_hz)
