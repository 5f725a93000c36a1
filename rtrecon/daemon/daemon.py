"""The daemon: one loop in one thread, between senders, worker processes and displays.

It never waits for torch, a screen or a disk. Its parts: `MessageIntake` receives what
senders send, `SessionManager` begins and ends sessions, `Pipeline` turns frames into
activity, `ResultIntake` receives the movie and the rules' events, `DaemonApi` answers
requests, `HealthReporter` publishes the counters.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rtrecon.config import Settings
from rtrecon.core.process import call_on_signals
from rtrecon.daemon.calibration_starter import CalibrationStarter
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.end_reporter import EndReporter
from rtrecon.daemon.event_publisher import Log
from rtrecon.daemon.health import HealthReporter
from rtrecon.daemon.message_intake import MessageIntake
from rtrecon.daemon.result_intake import ResultIntake
from rtrecon.daemon.rpc_handlers import DaemonApi
from rtrecon.daemon.session_encoder import choose_session_encoder
from rtrecon.daemon.session_manager import SessionManager
from rtrecon.daemon.warm_up import warm_up
from rtrecon.transport.rpc import RpcServer

_POLL_MS = 20


class Daemon:
    """One daemon; `run` is its whole life.

    Raises UserError with a sentence where the settings or the sockets cannot be used.
    """

    def __init__(self, settings: Settings, log: Log) -> None:
        settings, notice = choose_session_encoder(settings)
        if notice:
            log(f"encoder.checkpoint = 'session': {notice}")
        self._settings = settings
        self._log = log
        self._context = DaemonContext.create(settings, log)
        self._results = ResultIntake(self._context)
        self._sessions = SessionManager(self._context, self._results.receive_results)
        self._intake = MessageIntake(self._context, self._sessions)
        self._health = HealthReporter(self._context, self._sessions)
        self._calibration = CalibrationStarter(self._context, self._sessions)
        self._end_reporter = EndReporter(
            self._context, self._sessions, self._health.publish_health
        )
        self._sessions.on_session_end = self._end_reporter.report_end
        api = DaemonApi(self._context, self._sessions, self.stop)
        self._rpc = RpcServer(self._context.sockets.control, api.make_handlers())
        self._is_stopping = False
        self._tasks = self._list_tasks()

    def run(self) -> None:
        """Warm up, then serve until asked to stop."""
        self._context.workers.start()
        warm_up(self._context.neurons.shape, self._settings)
        self._sessions.state = "waiting"
        self._log(f"ready: frames are expected at {self._settings.network.frames}")
        poller = self._context.sockets.make_poller()
        try:
            while not self._is_stopping:
                poller.poll(0 if self._sessions.has_queued_frames() else _POLL_MS)
                self._run_once(time.monotonic())
        finally:
            self._finish()

    def stop(self) -> None:
        """End the loop after its present pass."""
        self._is_stopping = True

    def close(self) -> None:
        """Close the sockets."""
        self._context.sockets.close()

    def _run_once(self, now_s: float) -> None:
        for task, run in self._tasks.items():
            with self._context.errors.catch(task):
                run(now_s)

    def _list_tasks(self) -> dict[str, Callable[[float], object]]:
        """Return what each pass of the loop does; each is given the time in s."""
        sessions = self._sessions
        return {
            "checking clients": lambda _: self._report_refused_clients(),
            "receiving messages": lambda _: self._intake.receive_messages(),
            "processing frames": lambda _: sessions.process_pending(),
            "receiving results": lambda _: self._results.receive_results(),
            "answering requests": lambda _: self._rpc.answer_pending(),
            "watching the worker processes": self._report_worker_exits,
            "starting the calibrator": self._calibration.start_when_needed,
            "checking for silence": sessions.check_silence,
            "reporting the end of a session": self._end_reporter.report_when_idle,
            "checking for stalls": sessions.check_stalls,
            "publishing the health": self._health.publish_if_due,
        }

    def _report_refused_clients(self) -> None:
        for refusal in self._context.sockets.poll_authentication():
            self._context.events.report_refusal(refusal)

    def _report_worker_exits(self, now_s: float) -> None:
        context = self._context
        for process, child_exit in context.workers.poll_exits(now_s):
            context.events.publish_event(process, child_exit.notice)
            if process == "inverter":
                context.watchdogs.inverter.pause()
                if child_exit.is_final:
                    context.backpressure.remove_inverter()

    def _finish(self) -> None:
        errors = self._context.errors
        with errors.catch("processing the last frames"):
            self._intake.finish()
        self._sessions.state = "stopped"
        with errors.catch("reporting the end of the session"):
            self._end_reporter.report_end()
        self._context.events.publish_event("shutdown", "the daemon stops")
        self._context.workers.stop()
        with errors.catch("receiving results"):
            self._results.receive_results()
        self._context.recording.close()
        self._sessions.close()


def run(settings: Settings, log: Log) -> None:
    """Run a daemon until it is asked to stop; raises UserError with a sentence."""
    daemon = Daemon(settings, log)
    try:
        with call_on_signals(daemon.stop):
            daemon.run()
    finally:
        daemon.close()
