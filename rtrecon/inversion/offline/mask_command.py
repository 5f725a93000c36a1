"""The command `rtrecon mask`: trains a transparency mask and writes it to a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.encoder.base import PADDED_SHAPE
from rtrecon.inversion.offline.clips import cut_session
from rtrecon.inversion.offline.encoder_files import open_encoder
from rtrecon.inversion.offline.results import create_folder
from rtrecon.inversion.offline.transparency_mask import (
    MIN_EVALUATED_MASK,
    MaskSettings,
    train_mask,
)
from rtrecon.stimulus_space.video import IMAGE_SHAPE


@dataclass(frozen=True)
class MaskRequest:
    """The session and encoder to train a mask for, and the .npy file to write.

    The encoder should not have been trained on the session. mouse, device: see
    `open_encoder`.
    """

    session: Path
    encoder: Path
    output_file: Path
    steps: int = MaskSettings().steps
    seed: int = 0
    mouse: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"


def create_mask_file(
    request: MaskRequest, on_progress: ProgressCallback = ignore_progress
) -> str:
    """Train a mask and write it; return a sentence about how much it covers."""
    create_folder(request.output_file.parent)
    settings = replace(MaskSettings(), steps=request.steps)
    length = settings.first_frame + settings.n_frames
    clips = [source.load() for source in cut_session(request.session, length)]
    encoder = open_encoder(request.encoder, clips[0], request.mouse, request.device)
    mask = train_mask(
        encoder, clips, settings, seed=request.seed, on_progress=on_progress
    )
    with request.output_file.open("wb") as file:
        np.save(file, mask, allow_pickle=False)
    return (
        f"{request.output_file} written: {np.mean(mask >= MIN_EVALUATED_MASK):.0%} of "
        f"the screen are at {MIN_EVALUATED_MASK:g} or above, where figures are computed"
    )


def read_mask(path: Path) -> Array:
    """Read a mask (36, 64); of a padded one (64, 64), return the visible rows.

    Raises UserError if the file is not a mask.
    """
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"mask {path} cannot be read ({error}); make one with `rtrecon mask`"
        ) from None
    if not isinstance(mask, np.ndarray) or mask.shape not in (
        IMAGE_SHAPE,
        PADDED_SHAPE,
    ):
        raise UserError(
            f"mask {path} is not an array of {IMAGE_SHAPE} or {PADDED_SHAPE} pixels"
        )
    rows_above = (mask.shape[0] - IMAGE_SHAPE[0]) // 2
    return np.asarray(mask[rows_above : rows_above + IMAGE_SHAPE[0]], np.float32)
