"""Settings of neurons in a dish."""

from __future__ import annotations

from pydantic import Field

from rtrecon.config.section import Section


class DishSettings(Section):
    """What the tracing of neurons in a dish needs to know."""

    body_um: float = Field(
        12.0, gt=0, description="diameter of a usual cell body, in um"
    )
    sensitivity: float = Field(
        1.0,
        ge=0.3,
        le=3.0,
        description="larger = fainter bodies and neurites are traced, and more clutter",
    )
    um_per_px: float = Field(
        ..., gt=0, description="size of a pixel of the camera in the dish, in um"
    )
    interval_s: float = Field(..., gt=0, description="time between two frames, in s")
