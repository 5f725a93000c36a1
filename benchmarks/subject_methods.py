"""Every method on the test clips of one family; results are stored in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from live_replay import replay_clip
from subject_sessions import SubjectSession
from true_encoder import make_true_encoder

from rtrecon.config import InversionSettings
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.convolutional_decoder import fit_convolutional
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP, reconstruct_map
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.published_protocol import reconstruct_published
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.ridge_decoder import BINS, Bins, fit_ridge
from rtrecon.training.encoder_form import EncoderForm

Movies = dict[str, Array]
AGES_FRAMES = 3, 6, 24  # 0.1, 0.2 and 0.8 s
# As many steps as there is time for in a live session, see docs/decisions/0013.
STEPS_BY_FORM: dict[EncoderForm, int] = {"compact": STEPS_PER_HOP, "convolutional": 5}
TRUE_STEPS, TRUE_FRAMES = 120, 150  # of the slow inversion with the true encoder
_N_TRUE_CLIPS = _N_PUBLISHED_CLIPS = 2
_LOOK_AHEADS_FRAMES = 3, 6, BINS[-1][1]


@dataclass(frozen=True)
class MethodCache:
    """Runs a method once, and then reads its movies.

    Movies are lists by name, one float32 (T, 36, 64) for each clip.
    """

    folder: Path
    on_start: Callable[[str], object]

    def load(
        self, name: str, run: Callable[[], list[Movies]]
    ) -> dict[str, list[Array]]:
        """Return the movies of a method, by name, clip by clip."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            self.on_start(name)
            flat = {
                f"{key}/{k}": movie
                for k, movies in enumerate(run())
                for key, movie in movies.items()
            }
            np.savez(path, allow_pickle=False, **flat)
        with np.load(path) as stored:
            order = sorted(stored.files, key=lambda key: int(key.split("/")[1]))
            names = dict.fromkeys(key.split("/")[0] for key in order)
            return {
                name: [stored[key] for key in order if key.split("/")[0] == name]
                for name in names
            }


def run_live(checkpoint: Checkpoint, clips: Sequence[Clip], steps: int) -> list[Movies]:
    """Replay clips; movies "age3", ..., "final", and their s.d. "sd24"."""
    made = []
    for clip in clips:
        replayed = replay_clip(checkpoint, clip.target, AGES_FRAMES, steps)
        movies = {f"age{age}": replayed.movies[age] for age in AGES_FRAMES}
        movies["final"] = replayed.movies[max(replayed.movies)]
        movies["sd24"] = replayed.sds[24]
        made.append(movies)
    return made


def run_null(checkpoint: Checkpoint, clips: Sequence[Clip], steps: int) -> list[Movies]:
    """Replay clips in which every neuron has the activity of another one."""
    exchanged = []
    for k, clip in enumerate(clips):
        activity = clip.target.activity
        order = np.random.default_rng([k, 1]).permutation(activity.shape[1])
        target = replace(clip.target, activity=activity[:, order])
        exchanged.append(replace(clip, target=target))
    return run_live(checkpoint, exchanged, steps)


def run_map(checkpoint: Checkpoint, clips: Sequence[Clip]) -> list[Movies]:
    """Invert whole clips without a time limit."""
    return [{"movie": reconstruct_map(checkpoint, clip.target).movie} for clip in clips]


def run_true_map(session: SubjectSession, checkpoint: Checkpoint) -> list[Movies]:
    """Invert the first seconds of clips with the true encoder and its own noise.

    The prior is that of movies; the data have their full weight, because the true
    rates have the noise that the likelihood assumes.
    """
    calibration = replace(
        checkpoint.calibration, dispersion=torch.ones(session.plan.n_neurons)
    )
    settings = InversionSettings(prior="movies", data_weight=1.0)
    made = []
    for recorded in session.tests[:_N_TRUE_CLIPS]:
        part = recorded.slice_frames(0, TRUE_FRAMES)
        # Any `LiveEncoder` can be inverted; a checkpoint names those that files hold.
        encoder: Any = make_true_encoder(session.subject, part.arousal)
        exact = replace(checkpoint, encoder=encoder, calibration=calibration)
        target = part.to_clip("true").target
        result = reconstruct_map(exact, target, TRUE_STEPS, settings)
        made.append({"movie": result.movie})
    return made


def run_published(checkpoint: Checkpoint, clips: Sequence[Clip]) -> list[Movies]:
    """Run the published protocol with one compact encoder and adjacent windows."""
    encoder, settings = (
        CompactPixelEncoder(checkpoint),
        PublishedSettings(stride_frames=32),
    )
    return [
        {"movie": reconstruct_published([encoder], clip.target, settings).movies[0]}
        for clip in clips[:_N_PUBLISHED_CLIPS]
    ]


def run_ridge(training: Sequence[Clip], clips: Sequence[Clip]) -> list[Movies]:
    """Decode clips by ridge regression; "ahead3" uses 0.1 s of later activity, ..."""
    decoders = {
        f"ahead{frames}": fit_ridge(training, bins=_cut_bins(frames))
        for frames in _LOOK_AHEADS_FRAMES
    }
    return [
        {name: decoder.decode(clip.target) for name, decoder in decoders.items()}
        for clip in clips
    ]


def run_cnn(training: Sequence[Clip], clips: Sequence[Clip]) -> list[Movies]:
    """Decode clips by the convolutional decoder."""
    decoder = fit_convolutional(training)
    return [{"movie": decoder.decode(clip.target)} for clip in clips]


def _cut_bins(look_ahead_frames: int) -> Bins:
    """Return the bins of activity that end after so many frames at the latest."""
    return tuple(
        (first, min(stop, look_ahead_frames))
        for first, stop in BINS
        if first < look_ahead_frames
    )
