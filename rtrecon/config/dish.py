"""Settings of neurons in a dish."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtrecon.config.section import Section

BodySize = Annotated[
    float, Field(gt=0, description="diameter of a usual cell body, in um")
]
Sensitivity = Annotated[
    float,
    Field(
        ge=0.3,
        le=3.0,
        description="larger = fainter bodies and neurites are traced, and more clutter",
    ),
]


class DishSettings(Section):
    """What the tracing of neurons in a dish needs to know."""

    body_um: BodySize = 12.0
    sensitivity: Sensitivity = 1.0
    um_per_px: float = Field(
        ..., gt=0, description="size of a pixel of the camera in the dish, in um"
    )
    interval_s: float = Field(..., gt=0, description="time between two frames, in s")
