"""Where the neurons of a recorded session look, as the inverter published it."""

from __future__ import annotations

from rtrecon.core.types import Array
from rtrecon.metrics.visual_field import decode_visual_field
from rtrecon.session.session import Session


def read_visual_field(session: Session) -> Array | None:
    """Return the pixels where the neurons look, bool (height, width).

    None if the session has none: it was recorded without an encoder, or it ended before
    the inverter published it.
    """
    shape = session.about.stimulus_space.shape
    for message in reversed(session.quality):
        if message.visual_field is not None and message.shape == shape:
            try:
                return decode_visual_field(message.visual_field, shape)
            except ValueError:
                continue  # a damaged line
    return None
