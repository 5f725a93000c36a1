"""The simulated mouse that an encoder was trained on, to show it what one likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from rtrecon.config import Settings, TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import Card
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import Report, Target
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import Session, World, make_session, make_world
from rtrecon.training import acquire

_SEED = 6000  # of movies, behaviour and noise: far from every one trained on
_SETTLE_FRAMES = 300  # shown first and left out, while baselines find their level


@dataclass(frozen=True)
class Rig:
    """A simulated microscope over the mouse whose number is `mouse`, from 0.

    neurons: of the encoder; another mouse has as many, in other places. The front reads
    its frames as it did for training.
    """

    card: Card
    mouse: int
    n_neurons: int
    side_px: int
    seed: int

    @classmethod
    def of(cls, card: Card, seed: int) -> Rig:
        """Return the rig that a checkpoint was trained on; UserError if it is none."""
        mouse = _simulated(card)
        return cls(
            card, mouse["mouse_seed"], mouse["n_neurons"], mouse["side_px"], seed
        )

    def shown(self, movie: Array, clip_frames: int, report: Report) -> list[Clip]:
        """Show a movie (T, 36, 64) and read the activity; returns whole clips of it."""
        session, activity = self._imaged(movie, report)
        behavior = session.behavior.measured()
        clips = []
        for start in range(0, len(movie) - clip_frames + 1, clip_frames):
            own = slice(_SETTLE_FRAMES + start, _SETTLE_FRAMES + start + clip_frames)
            clip = Clip(
                name=f"mouse {self.mouse}, {start / RATE_HZ:g} s",
                target=Target(activity[own], behavior[own]),
                shown=session.movie[own].astype(np.float32),
                ids=self.card.rois.ids,
                rate_hz=RATE_HZ,
            )
            clips.append(clip)
        return clips

    def _imaged(self, movie: Array, report: Report) -> tuple[Session, Array]:
        """Image a session of the movie; returns it and its activity, frame by frame.

        Before the movie come frames that are not to be used, and a few after it.
        """
        settings, seed = _settings(self.card), _SEED + self.seed
        lead = natural_movie(_SETTLE_FRAMES, seed)
        # Of a session's last frames deconvolution cannot tell.
        tail = movie[-1:].repeat(settings.traces.deconvolve_lag_frames, 0)
        world = _grown(self.n_neurons, self.side_px, self.mouse)
        whole = np.concatenate([lead, movie, tail])
        session = make_session(world, whole, "evaluate", seed)
        return session, acquire(world, session, settings, report).activity


@lru_cache(maxsize=2)  # the mouse, and another one
def _grown(n_neurons: int, side_px: int, mouse: int) -> World:
    return make_world(n_neurons, side_px, mouse)


def _simulated(card: Card) -> Mapping[str, Any]:
    known = card.meta.get("simulated")
    if not isinstance(known, dict) or not {"mouse_seed", "n_neurons", "side_px"} <= set(
        known
    ):
        raise UserError(
            f"encoder {card.path} was not trained on a simulated mouse, so there is "
            "none to show movies to; give a recorded session, or the encoder 'demo'"
        )
    return known


def _settings(card: Card) -> Settings:
    """Return settings under which traces are read as they were for training."""
    told = card.meta.get("traces", {})
    known = {key: told[key] for key in TracesSettings.model_fields if key in told}
    return Settings(traces=TracesSettings(**known))
