"""Settings of the calibration of a new mouse while the daemon runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rtrecon.config.section import Section


class CalibrationSettings(Section):
    """Training of an encoder in the session itself, where there is none yet."""

    enabled: bool = Field(
        True,
        description="train an encoder while a session without one is recorded and a "
        "known stimulus is shown, and reconstruct the movie with it as soon as it is "
        "good enough",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="device on which the encoder is trained; 'auto' = a GPU if there "
        "is one",
    )
    threads: int = Field(
        1, ge=1, description="number of CPU threads that the training uses"
    )
    first_minutes: float = Field(
        2.0,
        ge=0.5,
        description="minutes of stimulus and activity before the first training",
    )
    every_minutes: float = Field(
        1.0, ge=0.25, description="new minutes before each later training"
    )
