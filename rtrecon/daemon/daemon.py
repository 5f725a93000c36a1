"""The daemon: one loop in one thread, between senders, worker processes and displays.

It never waits for torch, a screen or a disk. Its parts: `MessageIntake` receives what
senders send, `SessionManager` begins and ends sessions, `Pipeline` turns frames into
activity, `ResultIntake` receives the movie and the rules' events, `DaemonApi` answers
requests, `HealthReporter` publishes the counters.
"""

from __future__ import annotations

import time

from rtrecon.config import Settings
from rtrecon.core.process import call_on_signals
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.event_publisher import Log
from rtrecon.daemon.health import HealthReporter
from rtrecon.daemon.message_intake import MessageIntake
from rtrecon.daemon.result_intake import ResultIntake
from rtrecon.daemon.rpc_handlers import DaemonApi
from rtrecon.daemon.session_manager import SessionManager
from rtrecon.daemon.warm_up import warm_up
from rtrecon.transport.rpc import RpcServer

_POLL_MS = 20


class Daemon:
    """One daemon; `run` is its whole life.

    Raises UserError with a sentence where the settings or the sockets cannot be used.
    """

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._context = DaemonContext.create(settings, log)
        self._results = ResultIntake(self._context)
        self._sessions = SessionManager(self._context, self._results.receive_results)
        self._intake = MessageIntake(self._context, self._sessions)
        self._health = HealthReporter(self._context, self._sessions)
        api = DaemonApi(self._context, self._sessions, self.stop)
        self._rpc = RpcServer(self._context.sockets.control, api.make_handlers())
        self._is_stopping = False

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
        context, sessions = self._context, self._sessions
        for refusal in context.sockets.poll_authentication():
            context.events.report_refusal(refusal)
        self._intake.receive_messages()
        sessions.process_pending()
        self._results.receive_results()
        self._rpc.answer_pending()
        self._report_worker_exits(now_s)
        sessions.check_silence(now_s)
        context.recording.write_report_when_idle(sessions.state == "idle", now_s)
        sessions.check_stalls(now_s)
        self._health.publish_if_due(now_s)

    def _report_worker_exits(self, now_s: float) -> None:
        context = self._context
        for process, child_exit in context.workers.poll_exits(now_s):
            context.events.publish_event(process, child_exit.notice)
            if process == "inverter":
                context.watchdogs.inverter.pause()
                if child_exit.is_final:
                    context.backpressure.remove_inverter()

    def _finish(self) -> None:
        self._sessions.catch_up()
        self._sessions.state = "stopped"
        self._health.publish_health()
        self._context.events.publish_event("shutdown", "the daemon stops")
        self._context.workers.stop()
        self._results.receive_results()
        self._context.recording.close()


def run(settings: Settings, log: Log) -> None:
    """Run a daemon until it is asked to stop; raises UserError with a sentence."""
    daemon = Daemon(settings, log)
    try:
        with call_on_signals(daemon.stop):
            daemon.run()
    finally:
        daemon.close()
