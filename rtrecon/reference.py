"""What a plane's frames are registered to, and where its neurons lie in it today."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.acquire.neuropil import Masks, with_rings
from rtrecon.acquire.register import make_template
from rtrecon.config import Settings
from rtrecon.rois import RoiSet
from rtrecon.wire import Array


@dataclass(frozen=True)
class Known:
    """A plane's neurons, and the image they were drawn on, if there is one.

    image: (lines, pixels) float32, of another day perhaps; None: masks lie on today's.
    """

    rois: RoiSet
    image: Array | None


@dataclass(frozen=True)
class Reference:
    """The template, (lines, pixels) float32, and the masks on it."""

    template: Array
    masks: Masks


def find_reference(frames: list[Array], known: Known, settings: Settings) -> Reference:
    """Make today's template of frames (lines, pixels), and find the neurons in it.

    Raises ValueError with a sentence where no template can be made. Takes seconds.
    """
    template = make_template(np.stack(frames), settings.register_)
    return Reference(template, with_rings(known.rois, settings.traces))
