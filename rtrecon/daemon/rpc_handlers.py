"""What may be asked of a daemon while it runs, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rtrecon.daemon.pipeline import Pipeline
from rtrecon.transport.control import Answer, Request

_NO_SESSION: Answer = {"ok": False, "sentence": "no session is running"}


class Asked(Protocol):
    """The daemon, as far as requests reach it."""

    @property
    def pipeline(self) -> Pipeline | None:
        """The session under way."""
        ...

    def status(self) -> Answer:
        """Return a whole snapshot, for who comes late."""
        ...

    def mark(self, note: str) -> None:
        """Publish and record a note."""
        ...

    def record(self, on: bool) -> None:
        """Record from now on, or no longer."""
        ...

    def stop(self) -> None:
        """End, once the current messages are done with."""
        ...


def operations(daemon: Asked) -> dict[str, Callable[[Request], Answer]]:
    """Return what answers each request, by its `op`."""

    def mark(request: Request) -> Answer:
        daemon.mark(request.note)
        return {"sentence": "noted"}

    def record(request: Request) -> Answer:
        daemon.record(request.on)
        return {"sentence": f"recording is {'on' if request.on else 'off'}"}

    def stop(_: Request) -> Answer:
        daemon.stop()
        return {"sentence": "stopping"}

    return {
        "status": lambda _: daemon.status(),
        "mark": mark,
        "record": record,
        "reference": lambda _: _reference(daemon.pipeline),
        "history": lambda _: _history(daemon.pipeline),
        "neurons": lambda _: _neurons(daemon.pipeline),
        "masks": lambda _: _masks(daemon.pipeline),
        "stop": stop,
    }


def _reference(pipeline: Pipeline | None) -> Answer:
    if pipeline is None:
        return _NO_SESSION
    pipeline.retake_reference()
    return {"sentence": "a new reference is made of the next frames"}


def _history(pipeline: Pipeline | None) -> Answer:
    """The newest activity messages, three parts each, oldest first."""
    kept = pipeline.history if pipeline else ()
    parts = [part for message in kept for part in message]
    return {"sentence": f"{len(kept)} activity messages", "attached": parts}


def _neurons(pipeline: Pipeline | None) -> Answer:
    """The neurons' ids, in the order of the activity."""
    if pipeline is None:
        return _NO_SESSION
    ids = pipeline.field.rois.ids.tolist()
    return {"sentence": f"{len(ids)} neurons", "ids": ids}


def _masks(pipeline: Pipeline | None) -> Answer:
    """Whose each pixel of today's field is: uint16 labels follow."""
    if pipeline is None:
        return _NO_SESSION
    labels = pipeline.labels()
    return {
        "sentence": f"masks of {len(labels)} planes",
        "masks": labels.shape,
        "attached": [labels.astype("<u2").tobytes()],
    }
