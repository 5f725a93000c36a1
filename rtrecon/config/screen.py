"""Settings of the screen that the mouse sees, and of light that is not activity."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from rtrecon.config.section import Section

_GrayLevels = Annotated[
    list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=4096)
]


class ScreenSettings(Section):
    """The screen of the stimulus; recorded, and copied into NWB exports."""

    photodiode_line: int | None = Field(
        None,
        description="number of the digital line of a photodiode on a patch of the "
        "screen that changes between dark and bright with each picture; rtrecon then "
        "measures when each picture appears, and corrects its time; not set = the "
        "sender's times are taken as they are",
        examples=[3],
    )
    refresh_hz: float | None = Field(
        None, gt=0, description="refresh rate of the screen, in Hz", examples=[60.0]
    )
    size_cm: (
        tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None
    ) = Field(
        None,
        description="width and height of the stimulus on the screen, in cm",
        examples=[[51.0, 29.0]],
    )
    distance_cm: float | None = Field(
        None,
        gt=0,
        description="distance of the eye from the middle of the screen, in cm",
        examples=[15.0],
    )
    gamma: Annotated[float, Field(gt=0, le=10)] | _GrayLevels | None = Field(
        None,
        description="exponent of luminance over gray level, or the measured luminance "
        "at equally spaced gray levels from 0 to 255",
        examples=[2.2],
    )
    patch: str | None = Field(
        None,
        description="where the photodiode's patch is; `rtrecon stimulus` draws it in "
        "the corner with which the text begins",
        examples=["bottom-right, 3 x 3 cm"],
    )


class LightSettings(Section):
    """Light that is not activity; frames that it reaches are rejected, by its cause.

    A digital line says when it reaches the detector; see `rtrecon` sync messages.
    """

    stimulation_line: int | None = Field(
        None,
        description="number of the digital line that is high while a stimulation laser "
        "is on",
        examples=[4],
    )
    shutter_line: int | None = Field(
        None,
        description="number of the digital line that is high while the shutter of the "
        "microscope is closed",
        examples=[5],
    )
    screen_line: int | None = Field(
        None,
        description="number of the digital line that is high while light of the screen "
        "reaches the detector",
        examples=[6],
    )
    margin_s: float = Field(
        0.0,
        ge=0,
        le=10,
        description="time in s before and after, in which frames are rejected as well",
    )

    @model_validator(mode="after")
    def _require_different_lines(self) -> LightSettings:
        lines = [
            line
            for line in (self.stimulation_line, self.shutter_line, self.screen_line)
            if line is not None
        ]
        if len(set(lines)) < len(lines):
            raise ValueError(
                f"two kinds of light have the same line, {max(lines, key=lines.count)};"
                " give each its own"
            )
        return self
