"""Settings of the live tracing of neurons in a dish."""

from __future__ import annotations

from pydantic import Field

from rtrecon.config.dish import BodySize, DishSettings, Sensitivity
from rtrecon.config.section import Section


class LiveDishSettings(Section):
    """Neurons in a dish: the daemon traces each picture of a time-lapse."""

    enabled: bool = Field(
        False,
        description="trace neurons in a dish in place of reading the activity of "
        "neurons; rois.path and encoder.checkpoint are not used then",
    )
    body_um: BodySize = 12.0
    sensitivity: Sensitivity = 1.0
    um_per_px: float | None = Field(
        None,
        gt=0,
        description="size of a pixel of the camera in the dish, in um; not set = as "
        "the sender says",
        examples=[0.65],
    )

    def describe_film(self, um_per_px: float, interval_s: float) -> DishSettings:
        """Return the settings for the film of one session."""
        return DishSettings(
            body_um=self.body_um,
            sensitivity=self.sensitivity,
            um_per_px=um_per_px,
            interval_s=interval_s,
        )
