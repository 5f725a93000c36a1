"""What a session of neurons in a dish is: its scale, and the sizes of its tables."""

from __future__ import annotations

import math

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.fields import UM_PER_PX
from rtrecon.session.about import DishAbout

_MAX_VIEW_SIDE_PX = 1024  # of the recorded views
_VIEW_PERCENTILES = (1, 99.7)  # shown as black and white


def describe_dish(
    start: messages.SessionStart, settings: Settings, event_kinds: list[str]
) -> DishAbout:
    """Return the constants of a session; `UserError` if its scale is unknown."""
    step = -(-max(start.shape) // _MAX_VIEW_SIDE_PX)
    lines, pixels = start.shape
    return DishAbout(
        shape=start.shape,
        view_shape=(-(-lines // step), -(-pixels // step)),
        view_step_px=step,
        um_per_px=find_um_per_px(start, settings),
        interval_s=1 / start.rate_hz,
        n_planes=len(start.planes),
        event_kinds=event_kinds,
    )


def find_um_per_px(start: messages.SessionStart, settings: Settings) -> float:
    """Return the size of a pixel in um: of the settings, or as the sender says.

    Raises `UserError` if neither tells it.
    """
    if settings.dish.um_per_px is not None:
        return settings.dish.um_per_px
    sent = start.meta.get(UM_PER_PX)
    if isinstance(sent, int | float) and 0 < sent < math.inf:
        return float(sent)
    raise UserError(
        "neurons in a dish can be traced only if the size of a pixel is known, and the "
        "sender does not say it; set dish.um_per_px, or give --scale-um to the "
        "program that sends"
    )


def make_view(image: Array, step_px: int) -> Array:
    """Return a picture as uint8, every `step_px`-th pixel, with its own contrast."""
    view = image[::step_px, ::step_px]
    low, high = np.percentile(view, _VIEW_PERCENTILES)
    scale = 255 / max(high - low, 1.0)
    return np.clip((view - low) * scale, 0, 255).astype(np.uint8)
