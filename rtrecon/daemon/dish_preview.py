"""Traces the newest picture of a dish with other settings, for a preview."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from rtrecon.config.dish import DishSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.daemon.plane import DishPicture
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.dish.tracker import DishTracker
from rtrecon.protocol.dish_messages import MAX_NEURONS, NOT_CLAIMED

MAX_PREVIEW_SIDE_PX = 1024  # of the image of owners
_NAMES = ("number", "y", "x")


@dataclass
class DishPreview:
    """Traces pictures in the background, one after the other.

    A preview knows nothing of the pictures before: it shows what the settings find,
    not how neurites are followed.
    """

    film: DishSettings
    background: Executor
    _asked: tuple[float, float, int] | None = None
    _running: Future[DishFrame] | None = None

    def trace(
        self, picture: DishPicture | None, body_um: float, sensitivity: float
    ) -> dict[str, Any] | None:
        """Return what these settings find; None while the picture is being traced.

        Asked again, it returns the result. Raises `UserError` for impossible settings,
        or if there is no picture.
        """
        if picture is None:
            raise UserError("there is no picture yet")
        settings = self._change_settings(body_um, sensitivity)
        asked = body_um, sensitivity, picture.traced.frame
        if asked != self._asked:
            if self._running is not None and not self._running.done():
                return None  # the one before comes to an end first
            self._asked = asked
            self._running = self.background.submit(_trace, picture.image, settings)
        assert self._running is not None
        if not self._running.done():
            return None
        if failure := self._running.exception():
            raise UserError(f"the picture cannot be traced: {failure}")
        return _describe(self._running.result(), settings)

    def _change_settings(self, body_um: float, sensitivity: float) -> DishSettings:
        changed = {"body_um": body_um, "sensitivity": sensitivity}
        try:
            return DishSettings.model_validate(self.film.model_dump() | changed)
        except ValidationError as error:
            (first, *_) = error.errors()
            name = str(first["loc"][0])
            raise UserError(f"dish.{name} = {first['input']}: {first['msg']}") from None


def _trace(image: Array, settings: DishSettings) -> DishFrame:
    return DishTracker(settings).process_frame(image)


def _describe(traced: DishFrame, settings: DishSettings) -> dict[str, Any]:
    """Return counts, bodies, and the owners as little-endian uint16."""
    step = -(-max(traced.owners.shape) // MAX_PREVIEW_SIDE_PX)
    claimed = np.where(traced.is_claimed, traced.owners, np.uint16(NOT_CLAIMED))
    owners = np.ascontiguousarray(claimed[::step, ::step], "<u2")
    bodies = traced.bodies[:MAX_NEURONS]
    rows = zip(*(bodies[name].tolist() for name in _NAMES), strict=True)
    reason = f"; {traced.notices[0]}" if traced.notices else ""
    return {
        "sentence": (
            f"body_um = {settings.body_um:g}, sensitivity = {settings.sensitivity:g}: "
            f"{len(traced.bodies)} bodies, "
            f"{traced.figures.length_mm_per_mm2:.4g} mm per mm2{reason}"
        ),
        "bodies": [list(row) for row in rows],
        "shape": owners.shape,
        "downsampling": step,
        "attached": [owners.tobytes()],
    }
