"""What the parts of the daemon share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtrecon.closed_loop.rules import bind_rules
from rtrecon.config import Settings
from rtrecon.daemon.backpressure import Backpressure
from rtrecon.daemon.error_reporter import ERROR_LOG_FILE, ErrorReporter
from rtrecon.daemon.event_publisher import EventPublisher, Log
from rtrecon.daemon.field_neurons import NeuronSource, read_neuron_source
from rtrecon.daemon.ingest.ingest import Ingest
from rtrecon.daemon.session_recording import SessionRecording
from rtrecon.daemon.sockets import DaemonSockets
from rtrecon.daemon.watchdog import Watchdogs
from rtrecon.daemon.worker_processes import WorkerProcesses
from rtrecon.transport.publisher import Publisher


@dataclass(frozen=True)
class DaemonContext:
    """The sockets, counters and services of one daemon; its parts work on these."""

    settings: Settings
    neurons: NeuronSource
    sockets: DaemonSockets
    publisher: Publisher
    recording: SessionRecording
    events: EventPublisher
    errors: ErrorReporter
    workers: WorkerProcesses
    backpressure: Backpressure
    watchdogs: Watchdogs
    ingest: Ingest

    @classmethod
    def create(cls, settings: Settings, log: Log) -> DaemonContext:
        """Check the settings and bind the sockets; raises UserError with a sentence."""
        neurons = read_neuron_source(settings)
        has_rules = bool(bind_rules(settings.closed_loop, neurons.space))
        has_inverter = neurons.card is not None
        sockets = DaemonSockets.bind_all(settings.network)
        publisher = Publisher(sockets.publish)
        recording = SessionRecording(settings)
        events = EventPublisher(publisher, recording, log)
        log_file = Path(settings.recording.folder) / ERROR_LOG_FILE
        return cls(
            settings,
            neurons,
            sockets,
            publisher,
            recording,
            events,
            ErrorReporter(events, log_file),
            WorkerProcesses(settings, has_inverter, has_rules),
            Backpressure(settings.inversion, has_inverter),
            Watchdogs(settings.network.stall_timeout_s),
            Ingest(),
        )
