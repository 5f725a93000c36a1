"""What `rtrecon mask` does: a session and an encoder in, a transparency mask out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.protocol import PADDED, VISIBLE
from rtrecon.inversion.offline.clips import clips_of
from rtrecon.inversion.offline.encoder_files import open_encoder
from rtrecon.inversion.offline.results import make_room
from rtrecon.inversion.offline.target import Report, silent
from rtrecon.inversion.offline.transparency_mask import (
    EVALUATED_FROM,
    MaskSettings,
    train_mask,
)


@dataclass(frozen=True)
class MaskPlan:
    """Whose mask to train: a recorded session, an encoder, and the .npy file to write.

    The encoder should not have been trained on the session. mouse, device: see
    `open_encoder`.
    """

    session: Path
    encoder: Path
    out: Path
    steps: int = MaskSettings().steps
    seed: int = 0
    mouse: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"


def make_mask(plan: MaskPlan, report: Report = silent) -> str:
    """Train a transparency mask, write it, and say how much it covers."""
    make_room(plan.out.parent)
    settings = replace(MaskSettings(), steps=plan.steps)
    length = settings.first_frame + settings.n_frames
    clips = [source.load() for source in clips_of(plan.session, length)]
    encoder = open_encoder(plan.encoder, clips[0], plan.mouse, plan.device)
    mask = train_mask(encoder, clips, settings, seed=plan.seed, report=report)
    with plan.out.open("wb") as file:
        np.save(file, mask, allow_pickle=False)
    return (
        f"{plan.out} written: {np.mean(mask >= EVALUATED_FROM):.0%} of the screen are "
        f"at {EVALUATED_FROM:g} and above, where figures are taken"
    )


def read_mask(path: Path) -> Array:
    """Return a mask (36, 64); of published ones (64, 64) the visible rows."""
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"mask {path} cannot be read ({error}); make one with `rtrecon mask`"
        ) from None
    if not isinstance(mask, np.ndarray) or mask.shape not in (VISIBLE, PADDED):
        raise UserError(f"mask {path} is not an array of {VISIBLE} or {PADDED} pixels")
    above = (mask.shape[0] - VISIBLE[0]) // 2
    return np.asarray(mask[above : above + VISIBLE[0]], np.float32)
