"""The calibrator process: trains an encoder on the session that is being recorded.

It has the lowest priority of all processes. It takes its data from the record, so that
neither the daemon nor the network has more to do for it, and so that it can be killed
at any moment and goes on from what is on disk.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
import zmq

from rtrecon.calibration.session_calibration import SessionCalibration
from rtrecon.calibration.training_round import RoundOptions
from rtrecon.config import Settings
from rtrecon.core.process import ParentProcess
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.protocol import messages
from rtrecon.session.session import NotASessionError
from rtrecon.training.distributed import make_context
from rtrecon.transport import sockets
from rtrecon.transport.keys import get_client_keys
from rtrecon.transport.publisher import Publisher
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.subscriber import Subscriber

_POLL_S = 0.2
# The whole record is opened for each reading, so a long one is read less often.
_READ_INTERVALS_S, _MAX_READ_SHARE = (2.0, 15.0), 0.05
_PROGRESS_EVERY_S = 5.0  # also without a change, for displays that connect late


class _DaemonStopped(Exception):
    """The daemon stops or is gone: end in the middle of whatever is being done."""


class CalibratorProcess:
    """The loop around a `SessionCalibration`: sockets, sessions, progress."""

    def __init__(self, settings: Settings, daemon: ParentProcess) -> None:
        self._settings, self._daemon = settings.calibration, daemon
        torch.set_num_threads(self._settings.threads)
        self._options = RoundOptions(
            make_context(self._settings.device, "auto"), self._report_progress
        )
        network = settings.network
        self._context: sockets.Context = zmq.Context()
        self._control, self._keys = network.control, get_client_keys(network)
        topics = {"event", "health"}
        self._subscriber = Subscriber(
            network.publish, self._keys, topics, context=self._context
        )
        self._outbox = sockets.connect_socket(
            self._context, zmq.PUSH, network.results, self._keys
        )
        self._publisher = Publisher(self._outbox)
        self._memory = MemoryMeter()
        self._health_interval_s = network.health_interval_s
        self._health_due_s = self._read_due_s = self._progress_due_s = 0.0
        self._stage = "gathering"
        self._session = ""  # as the daemon reports it
        self._calibration: SessionCalibration | None = None

    def run(self) -> None:
        """Calibrate session after session until the daemon stops or exits."""
        try:
            while True:
                self._serve()
                self._calibrate()
                self._subscriber.wait(_POLL_S)
        except _DaemonStopped:
            return

    def close(self) -> None:
        """Close the sockets."""
        self._subscriber.close()
        self._outbox.close()
        self._context.term()

    def _calibrate(self) -> None:
        """Read new minutes when it is time, and run a round when there are enough."""
        if time.monotonic() < self._read_due_s:
            return
        began_s = time.process_time()
        if self._calibration is None:
            self._begin_session()
        calibration = self._calibration
        if calibration is not None:
            calibration.minutes.read_new()
        took_s = time.process_time() - began_s
        shortest_s, longest_s = _READ_INTERVALS_S
        pause_s = min(longest_s, max(shortest_s, took_s / _MAX_READ_SHARE))
        self._read_due_s = time.monotonic() + pause_s
        if calibration is None:
            return
        if sentence := calibration.check_stimulus():
            self._publish_event("stimulus lag", sentence)
        if calibration.is_round_due:
            sentence = calibration.run_round()
            self._stage = "gathering"
            self._publish_event("encoder", sentence)

    def _publish_event(self, name: str, sentence: str) -> None:
        """Publish the progress, and the sentence if there is one."""
        self._send_progress()
        if sentence:
            self._publisher.publish(messages.Event, name=name, message=sentence)

    def _begin_session(self) -> None:
        """Find the record of the current session, once there is one."""
        try:
            status = call_daemon(self._control, "status", self._keys)
        except RpcError:
            return
        session, recording = status["session"], status["recording"]
        if not session or recording is None:
            return
        try:
            self._calibration = SessionCalibration(
                Path(recording), self._settings, self._options
            )
        except NotASessionError:
            return  # its first file is still being written
        self._session = session
        self._publisher.begin_session(session)

    def _report_progress(self, stage: str, share: float, text: str) -> None:
        """Learn what a round does; raise `_DaemonStopped` to end it."""
        self._stage = "training" if stage == "training" else "judging"
        self._serve()

    def _serve(self) -> None:
        """Take the daemon's messages, and send what is due."""
        for message, _ in self._subscriber.receive_pending():
            if isinstance(message, messages.Event) and message.name == "shutdown":
                raise _DaemonStopped
            if isinstance(message, messages.Health) and message.process == "daemon":
                self._follow_session(message.session)
        now_s = time.monotonic()
        if now_s >= self._health_due_s:
            if not self._daemon.is_running():
                raise _DaemonStopped
            self._health_due_s = now_s + self._health_interval_s
            self._send_health()
        if now_s >= self._progress_due_s:
            self._send_progress()

    def _follow_session(self, session: str) -> None:
        """Leave a session that is over; `_begin_session` begins the new one."""
        if self._session and session != self._session:
            self._calibration, self._session = None, ""

    def _send_health(self) -> None:
        memory_mb = self._memory.measure_mb()
        self._publisher.publish(
            messages.Health,
            process="calibrator",
            state=self._stage,
            lost={"results": self._publisher.n_lost},
            memory_mb=memory_mb,
            peak_memory_mb=self._memory.peak_mb,
        )

    def _send_progress(self) -> None:
        self._progress_due_s = time.monotonic() + _PROGRESS_EVERY_S
        if self._calibration is not None:
            progress = self._calibration.describe_progress(self._stage)
            self._publisher.publish(messages.Calibration, **progress)


def run_calibrator(settings: Settings, daemon: ParentProcess) -> None:
    """Run the calibrator until its daemon exits."""
    process = CalibratorProcess(settings, daemon)
    try:
        process.run()
    finally:
        process.close()
