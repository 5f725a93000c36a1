"""What to evaluate, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtrecon.inversion.offline.clips import CLIP_FRAMES


@dataclass(frozen=True)
class Simulation:
    """A session of the simulated mouse that the encoder was trained on.

    seconds: of movie that is evaluated. video: any video file as its stimulus, repeated
    where it is shorter; None shows the simulator's own, unlike any trained on.
    """

    seconds: float = 60.0
    video: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What to evaluate, and the folder for what comes of it.

    session: folder of a recorded session, or one to simulate. encoders: checkpoints of
    its neurons (or 'demo'); the first is judged, all together as an ensemble. mask: a
    .npy file of `rtrecon mask`; figures are then also of the pixels inside. seed: of
    held-out neurons, permutations and all that is simulated. most_clips: a longer
    session is judged on so many clips, spread evenly.
    """

    session: Path | Simulation
    out: Path
    encoders: Sequence[Path]
    mask: Path | None = None
    controls: bool = True
    seed: int = 1
    clip_frames: int = CLIP_FRAMES
    most_clips: int = 12
