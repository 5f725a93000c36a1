"""Settings of an inversion where the user gives none: those of the stimulus space."""

from __future__ import annotations

from rtrecon.config import InversionSettings
from rtrecon.stimulus_space.space import StimulusSpace


def make_settings(space: StimulusSpace, seed: int = 0) -> InversionSettings:
    """Return the usual settings, with window and hop of the space."""
    return InversionSettings(
        window_frames=space.window_frames, hop_frames=space.hop_frames, seed=seed
    )
