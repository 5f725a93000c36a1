"""Reads a file of any kind as frames of a stimulus space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources.npy import read_numbers
from rtrecon.stimulus_space.fit_frame import find_misfit, fit_stimulus
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO


def read_stimulus_file(path: Path, space: StimulusSpace) -> Array:
    """Return uint8 levels (n, *space.shape), one frame or more.

    A .npy file holds frames, uint8 levels or float32 of the space's quantity; other
    files are those of the sense, such as videos. Raises UserError.
    """
    if path.suffix == ".npy":
        return _read_frames(path, space)
    if space.name == VIDEO.name:
        from rtrecon.sources.video import read_clip  # slow to import

        return read_clip(path, space.shape, space.rate_hz)
    raise UserError(
        f"{path} cannot be read as {space.describe()}; give a .npy file of frames"
    )


def _read_frames(path: Path, space: StimulusSpace) -> Array:
    frames = read_numbers(path)
    is_number = frames.dtype in (np.uint8, np.float32)
    if not is_number or frames.ndim != 3 or not frames.size:
        raise UserError(
            f"{path} holds {frames.dtype} of shape {list(frames.shape)}; a clip is "
            "uint8 (n, height, width)"
        )
    for frame in frames:
        if misfit := find_misfit(space.name, frame, space):
            raise UserError(f"{path}: {misfit}")
    return np.stack([fit_stimulus(frame, space) for frame in frames])
