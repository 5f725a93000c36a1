"""The simulated mouse that an encoder was trained on; shows it any movie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from rtrecon.config import Settings, TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.card import Card
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import (
    ImagedMouse,
    SimulatedSession,
    make_imaged_mouse,
    simulate_session,
)
from rtrecon.training import acquire_session

_SEED = 6000  # of movies, behaviour and noise; no training uses it
_LEAD_FRAMES = 300  # shown first and left out, while baselines settle


@dataclass(frozen=True)
class SimulatedRig:
    """A simulated microscope and the mouse of this seed.

    neurons: of the encoder; another mouse has as many, in other places. The front reads
    its frames as it did for training.
    """

    card: Card
    mouse_seed: int
    n_neurons: int
    side_px: int
    seed: int

    @classmethod
    def for_encoder(cls, card: Card, seed: int) -> SimulatedRig:
        """Return the rig that an encoder was trained on; UserError if it was real."""
        mouse = _require_simulated(card)
        return cls(
            card, mouse["mouse_seed"], mouse["n_neurons"], mouse["side_px"], seed
        )

    def show_movie(
        self, movie: Array, clip_frames: int, on_progress: ProgressCallback
    ) -> list[Clip]:
        """Show a movie (T, 36, 64) and extract its activity; return whole clips."""
        session, activity = self._image_session(movie, on_progress)
        behavior = session.behavior.stack_measured()
        clips = []
        for start in range(0, len(movie) - clip_frames + 1, clip_frames):
            frames = slice(_LEAD_FRAMES + start, _LEAD_FRAMES + start + clip_frames)
            clip = Clip(
                name=f"mouse {self.mouse_seed}, {start / RATE_HZ:g} s",
                target=InversionTarget(activity[frames], behavior[frames]),
                stimulus=session.movie[frames].astype(np.float32),
                neuron_ids=self.card.rois.ids,
                rate_hz=RATE_HZ,
            )
            clips.append(clip)
        return clips

    def _image_session(
        self, movie: Array, on_progress: ProgressCallback
    ) -> tuple[SimulatedSession, Array]:
        """Image the movie; return the session and its activity, frame by frame.

        Before the movie come frames that are not to be used, and a few after it.
        """
        settings, seed = _training_settings(self.card), _SEED + self.seed
        lead = make_natural_movie(_LEAD_FRAMES, seed)
        # Deconvolution needs later frames, so the last ones have no activity.
        tail = movie[-1:].repeat(settings.traces.deconvolution_lag_frames, 0)
        imaged_mouse = _make_mouse(self.n_neurons, self.side_px, self.mouse_seed)
        movie_with_margins = np.concatenate([lead, movie, tail])
        session = simulate_session(imaged_mouse, movie_with_margins, "evaluate", seed)
        return session, acquire_session(
            imaged_mouse, session, settings, on_progress
        ).activity


@lru_cache(maxsize=2)  # the mouse and, for a control, another one
def _make_mouse(n_neurons: int, side_px: int, mouse: int) -> ImagedMouse:
    return make_imaged_mouse(n_neurons, side_px, mouse)


def _require_simulated(card: Card) -> Mapping[str, Any]:
    known = card.metadata.get("simulated")
    if not isinstance(known, dict) or not {"mouse_seed", "n_neurons", "side_px"} <= set(
        known
    ):
        raise UserError(
            f"encoder {card.path} was not trained on a simulated mouse, so there is "
            "none to show movies to; give a recorded session, or the encoder 'demo'"
        )
    return known


def _training_settings(card: Card) -> Settings:
    """Return settings that extract traces as the training did."""
    stored = card.metadata.get("traces", {})
    known = {key: stored[key] for key in TracesSettings.model_fields if key in stored}
    return Settings(traces=TracesSettings(**known))
