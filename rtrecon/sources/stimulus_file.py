"""Reads and writes frames of any stimulus space as files of its sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources.npy import read_numbers
from rtrecon.sources.touch_file import read_touch_levels, write_deflections
from rtrecon.stimulus_space.fit_frame import find_misfit, fit_stimulus
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.spectrogram import synthesize_sound
from rtrecon.stimulus_space.touch import TOUCH
from rtrecon.stimulus_space.video import VIDEO


def read_stimulus_file(path: Path, space: StimulusSpace) -> Array:
    """Return uint8 levels (n, *space.shape), one frame or more.

    A .npy file holds frames, uint8 levels or float32 of the space's quantity; other
    files are those of the sense: a video, a WAV file, a table of whiskers. Raises
    UserError.
    """
    if path.suffix == ".npy":
        return _read_frames(path, space)
    if space.name == VIDEO.name:
        from rtrecon.sources.video import read_clip  # slow to import

        return read_clip(path, space.shape, space.rate_hz)
    if space == SOUND:
        from rtrecon.sources.sound_file import read_sound_levels  # slow to import

        return read_sound_levels(path)
    if space == TOUCH:
        return read_touch_levels(path)
    raise UserError(
        f"{path} cannot be read as {space.describe()}; give a .npy file of frames"
    )


def choose_suffix(space: StimulusSpace) -> str:
    """Return the suffix of files that `write_stimulus_file` writes, without a dot."""
    if space.name == VIDEO.name:
        return "mp4"
    return {SOUND: "wav", TOUCH: "csv"}.get(space, "npy")


def write_stimulus_file(path: Path, levels: Array, space: StimulusSpace) -> None:
    """Write frames uint8 (T, *space.shape) as a file of their sense.

    A sound is made from its levels by phase retrieval. Frames of a space without files
    of its own are a .npy file.
    """
    if space == SOUND:
        from rtrecon.sources.sound_file import write_sound  # slow to import

        write_sound(path, synthesize_sound(levels))
    elif space == TOUCH:
        write_deflections(path, levels)
    elif space.name == VIDEO.name:
        from rtrecon.sources.video import write_movie  # slow to import

        write_movie(path, levels, rate_hz=space.rate_hz)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, levels)


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
