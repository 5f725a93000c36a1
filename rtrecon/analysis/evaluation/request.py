"""What to evaluate, and where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtrecon.inversion.offline.clips import CLIP_FRAMES


@dataclass(frozen=True)
class SimulationRequest:
    """A session of the subject that the encoder was trained on.

    seconds: length of the movie. video: any video file as the stimulus, repeated if it
    is shorter; None shows a movie of the simulator that no training used. subject: as
    the user names it; None = as the encoder's metadata name it.
    """

    seconds: float = 60.0
    video: Path | None = None
    subject: str | None = None


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, and the folder of the results.

    session: folder of a recorded session, or one to simulate. encoders: checkpoints of
    its neurons (or 'demo'); the first is evaluated alone, all together as an ensemble;
    none = the encoder that the session was recorded with, or 'demo' to simulate. mask:
    a .npy file of `rtrecon mask`; scores are then also taken over the pixels inside.
    seed: of held-out neurons, permutations and simulations. max_clips: of a longer
    session, this many clips are evaluated, spread evenly. thorough: evaluate all of
    them, however long it takes; otherwise as many as about ten minutes allow. resume:
    continue an interrupted evaluation in the output folder. start_s, seconds: part of
    a recorded session to evaluate; None = until its end.
    """

    session: Path | SimulationRequest
    output_folder: Path
    encoders: Sequence[Path] = ()
    mask: Path | None = None
    with_controls: bool = True
    seed: int = 1
    clip_frames: int = CLIP_FRAMES
    max_clips: int = 12
    thorough: bool = False
    resume: bool = False
    start_s: float = 0.0
    seconds: float | None = None
