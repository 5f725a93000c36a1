"""Sections of the inverter: which encoder, and how it is inverted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rtrecon.config.section import Section


class EncoderSettings(Section):
    """Which encoder, if any."""

    checkpoint: str | None = Field(
        None, description="path of a .safetensors file, or 'demo' for the one shipped"
    )


class InvertSettings(Section):
    """The live inversion."""

    window_frames: int = Field(35, ge=6, description="encoder frames still changing")
    hop_frames: int = Field(5, ge=1, description="new frames per update")
    max_steps: int = Field(16, ge=1)
    budget: float = Field(
        0.8, gt=0, le=1, description="share of a hop's time that steps may fill"
    )
    temperature: float | None = Field(
        None, gt=0, description="weight of the data; none = as the checkpoint says"
    )
    adaptive_prior: bool = Field(
        True, description="learn how strong what is shown is; no: as in movies"
    )
    held_out: float = Field(0.1, gt=0, lt=0.5, description="share of neurons kept out")
    null: bool = Field(True, description="invert permuted neurons beside, as a null")
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(1, ge=1)
    seed: int = 0
    deterministic: bool = Field(
        False,
        description="max_steps at every hop, however long they take, and frames wait "
        "for it: a replay then gives the same movie again",
    )

    @model_validator(mode="after")
    def _whole_hops(self) -> InvertSettings:
        if self.window_frames % self.hop_frames:
            raise ValueError(
                f"window_frames = {self.window_frames} must be a multiple of "
                f"hop_frames = {self.hop_frames}"
            )
        return self
