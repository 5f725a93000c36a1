"""Sizes of the culture in pixels, and durations in frames."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from rtrecon.config.dish import DishSettings
from rtrecon.core.errors import UserError

# Pictures are reduced until a body has fewer pixels than this in diameter.
_MAX_BODY_PX, _MIN_BODY_PX = 24.0, 6.0
_MIN_RADIUS_SHARE = 0.367  # smallest radius of a body, in diameters of a usual one


@dataclass(frozen=True)
class PixelScale:
    """How the tracing converts um and s.

    reduction: pictures are averaged over squares of so many pixels first. um_per_px:
    of the reduced picture. body_px: diameter of a usual body there.
    """

    reduction: int
    um_per_px: float
    body_px: float
    interval_s: float

    @property
    def min_radius_px(self) -> float:
        """Return the radius of the smallest body."""
        return _MIN_RADIUS_SHARE * self.body_px

    def count_frames(self, seconds: float, minimum: int, maximum: int) -> int:
        """Return how many frames last so long, within the limits."""
        return min(max(ceil(seconds / self.interval_s - 1e-9), minimum), maximum)


def choose_pixel_scale(settings: DishSettings) -> PixelScale:
    """Return the scale of the tracing; UserError where bodies are too small."""
    body_px = settings.body_um / settings.um_per_px
    if body_px < _MIN_BODY_PX:
        raise UserError(
            f"cell bodies of {settings.body_um:g} um have only {body_px:.1f} pixels at "
            f"{settings.um_per_px:g} um per pixel, and at least {_MIN_BODY_PX:g} are "
            "needed; check the scale and body_um, or film with a stronger objective"
        )
    reduction = max(1, floor(2 * body_px / _MAX_BODY_PX))
    if body_px < _MAX_BODY_PX:
        reduction = 1
    return PixelScale(
        reduction,
        settings.um_per_px * reduction,
        body_px / reduction,
        settings.interval_s,
    )
