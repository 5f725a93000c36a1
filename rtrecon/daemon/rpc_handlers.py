"""The requests that a running daemon answers."""

from __future__ import annotations

from collections.abc import Callable

from rtrecon.core.errors import UserError
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.pipeline import Pipeline
from rtrecon.daemon.session_manager import SessionManager
from rtrecon.transport.rpc import Reply, RpcRequest

_NO_SESSION: Reply = {"ok": False, "sentence": "no session is running"}


class DaemonApi:
    """Answers requests about the daemon and its current session.

    stop: a function that ends the daemon.
    """

    def __init__(
        self,
        context: DaemonContext,
        sessions: SessionManager,
        stop: Callable[[], None],
    ) -> None:
        self._context = context
        self._sessions = sessions
        self._stop = stop

    def make_handlers(self) -> dict[str, Callable[[RpcRequest], Reply]]:
        """Return the function that answers each request, by its `op`."""
        return {
            "status": lambda _: self._describe_status(),
            "session": self._describe_session,
            "mark": self._add_mark,
            "record": self._switch_recording,
            "reference": lambda _: self._ask_pipeline(_renew_reference),
            "history": lambda _: _list_history(self._sessions.pipeline),
            "neurons": lambda _: self._ask_pipeline(_list_neurons),
            "masks": lambda _: self._ask_pipeline(_get_masks),
            "reassign": self._reassign_neurite,
            "preview": self._preview_dish,
            "stop": lambda _: self._stop_daemon(),
        }

    def _ask_pipeline(self, answer: Callable[[Pipeline], Reply]) -> Reply:
        pipeline = self._sessions.pipeline
        return _NO_SESSION if pipeline is None else answer(pipeline)

    def _describe_status(self) -> Reply:
        """Return a complete snapshot, for clients that connect late."""
        pipeline, workers = self._sessions.pipeline, self._context.workers
        recorder, inverter = self._context.recording.recorder, workers.inverter
        n_processed = pipeline.output.n_processed if pipeline else 0
        return {
            "state": self._sessions.state,
            "session": self._context.publisher.session,
            "frames_processed": n_processed,
            "recording": str(recorder.path) if recorder else None,
            "inverting": workers.is_inverter_ready,
            "inverter_pid": inverter.pid if inverter else None,
            "calibrator_pid": workers.calibrator.pid if workers.calibrator else None,
            "inverter_restarts": inverter.restarts if inverter else 0,
            "sentence": f"{self._sessions.state}, {n_processed} frames processed",
        }

    def _describe_session(self, request: RpcRequest) -> Reply:
        """Return whether the session `request.session` is refused, and why."""
        current = self._context.publisher.session
        refusal = self._sessions.find_refusal(request.session)
        is_current = request.session == current
        return {
            "is_refused": bool(refusal),
            "is_current": is_current,
            "sentence": refusal
            or f"the session is{'' if is_current else ' not'} current",
        }

    def _add_mark(self, request: RpcRequest) -> Reply:
        self._context.events.publish_event("mark", request.note)
        return {"sentence": "noted"}

    def _reassign_neurite(self, request: RpcRequest) -> Reply:
        """Give the neurite at a position of a dish to a neuron, and record it."""
        pipeline = self._sessions.pipeline
        if pipeline is None:
            return _NO_SESSION
        place = request.plane, request.y, request.x
        try:
            sentence = pipeline.planes.reassign_neurite(place, request.neuron)
        except UserError as error:
            return {"ok": False, "sentence": str(error)}
        self._context.events.publish_event("reassigned", sentence)
        return {"sentence": sentence}

    def _preview_dish(self, request: RpcRequest) -> Reply:
        """Trace the newest picture of a dish with other settings; ask until it is."""
        pipeline = self._sessions.pipeline
        if pipeline is None:
            return _NO_SESSION
        chosen = request.body_um, request.sensitivity
        try:
            found = pipeline.planes.preview_dish(request.plane, *chosen)
        except UserError as error:
            return {"ok": False, "sentence": str(error)}
        if found is None:
            return {"is_pending": True, "sentence": "the picture is being traced"}
        return found

    def _switch_recording(self, request: RpcRequest) -> Reply:
        self._sessions.set_recording(request.on)
        return {"sentence": f"recording is {'on' if request.on else 'off'}"}

    def _stop_daemon(self) -> Reply:
        self._stop()
        return {"sentence": "stopping"}


def _renew_reference(pipeline: Pipeline) -> Reply:
    pipeline.planes.renew_references()
    return {"sentence": "a new reference is made of the next frames"}


def _list_history(pipeline: Pipeline | None) -> Reply:
    """Return the newest activity messages, three parts each, oldest first."""
    history = pipeline.output.history if pipeline else ()
    parts = [part for message in history for part in message]
    return {"sentence": f"{len(history)} activity messages", "attached": parts}


def _list_neurons(pipeline: Pipeline) -> Reply:
    """Return the ids of the neurons, in the order of the activity."""
    ids = pipeline.field.rois.ids.tolist()
    return {"sentence": f"{len(ids)} neurons", "ids": ids}


def _get_masks(pipeline: Pipeline) -> Reply:
    """Return the label images of today's field, little-endian uint32."""
    labels = pipeline.planes.make_labels()
    return {
        "sentence": f"masks of {len(labels)} planes",
        "masks": labels.shape,
        # One part per plane: the size of a part is limited.
        "attached": [plane.astype("<u4").tobytes() for plane in labels],
    }
