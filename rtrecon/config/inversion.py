"""Settings of the encoder and of its live inversion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtrecon.config.section import Section, SettingsPath
from rtrecon.stimulus_space.registry import SpaceName
from rtrecon.stimulus_space.video import MAX_SIDE_PX, MIN_SIDE_PX

PictureSide = Annotated[int, Field(ge=MIN_SIDE_PX, le=MAX_SIDE_PX)]


class EncoderSettings(Section):
    """The encoder, which predicts activity from a movie."""

    checkpoint: (
        Literal["demo", "demo-sound", "demo-touch", "session"] | SettingsPath | None
    ) = Field(
        None,
        description=".safetensors file made by 'rtrecon train'; 'demo' = the encoder "
        "of the simulated mouse that comes with rtrecon, 'demo-sound' and "
        "'demo-touch' = those of other senses; 'session' = the encoder that was "
        "trained in the newest session of this subject in recording.folder; not "
        "set = an encoder is trained in the session, see [calibration]",
        examples=["my_encoder.safetensors"],
        json_schema_extra={"needed": "this or rois.path"},
    )
    stimulus: SpaceName = Field(
        "video",
        description="what the stimulus is while there is no encoder, which otherwise "
        "says it: 'video', 'sound' or 'touch'",
    )
    stimulus_size: tuple[PictureSide, PictureSide] | None = Field(
        None,
        description="height and width in px to which a movie is reduced while there is "
        "no encoder; an encoder that is trained on the session has this size at most; "
        "not set = 36 x 64",
        examples=[[54, 96]],
    )


class InversionSettings(Section):
    """The live inversion, which finds the movie that explains the activity."""

    algorithm: str = Field(
        "map",
        description="name of the inversion algorithm; 'map' = maximum a posteriori, "
        "a few gradient steps per update",
    )
    window_frames: int = Field(
        35,
        ge=6,
        description="number of encoder frames that are reconstructed together; older "
        "frames are final",
    )
    hop_frames: int = Field(
        5,
        ge=1,
        description="number of new encoder frames after which the movie is updated; "
        "window_frames must be a multiple of it",
    )
    max_steps: int = Field(
        16, ge=1, description="largest number of optimisation steps per update"
    )
    spread_steps: int = Field(
        2,
        ge=0,
        description="optimisation steps per update for a sample from the posterior; "
        "from such samples follows the standard deviation of the movie; 0 = do not "
        "estimate it",
    )
    time_budget_fraction: float = Field(
        0.8,
        gt=0,
        le=1,
        description="fraction of the time between two updates that the optimisation "
        "may use",
    )
    data_weight: float | None = Field(
        None,
        gt=0,
        description="weight of the activity against the prior; not set = the value "
        "that calibration stored in the checkpoint",
        examples=[1.0],
    )
    prior: Literal["auto", "movies", "decoder"] = Field(
        "auto",
        description="what the movie is expected to be before the encoder is inverted; "
        "'movies' = like natural movies; 'decoder' = like the estimate of the "
        "checkpoint's linear decoder; 'auto' = 'decoder' if the checkpoint has one "
        "that made validation movies better by 0.02",
    )
    adaptive_prior: bool = Field(
        True,
        description="adapt the contrast of the prior to the stimulus; false = keep "
        "the contrast of natural movies",
    )
    held_out_fraction: float = Field(
        0.1,
        gt=0,
        lt=0.5,
        description="fraction of the neurons that the inversion does not use, so that "
        "their activity measures its quality",
    )
    null: bool = Field(
        True,
        description="also invert the activity of permuted neurons, as a null "
        "distribution of the quality",
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="device on which the inversion runs"
    )
    threads: int = Field(
        1, ge=1, description="number of CPU threads that the inversion uses"
    )
    seed: int = Field(
        0, description="seed of the choice of held-out and permuted neurons"
    )
    deterministic: bool = Field(
        False,
        description="always do max_steps, and let frames wait for the inversion: a "
        "replay then gives exactly the same movie, but not in real time",
    )

    @model_validator(mode="after")
    def _require_whole_hops(self) -> InversionSettings:
        if self.window_frames % self.hop_frames:
            raise ValueError(
                f"window_frames = {self.window_frames} must be a multiple of "
                f"hop_frames = {self.hop_frames}"
            )
        return self
