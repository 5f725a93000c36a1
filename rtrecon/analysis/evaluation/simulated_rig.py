"""The simulated mouse that an encoder was trained on; shows it any movie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from rtrecon.config import Settings, TracesSettings
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.card import Card
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.simulate.imaged_mouse import (
    ImagedMouse,
    ImagedMouseOptions,
    make_imaged_mouse,
    read_imaged_mouse,
)
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import SimulatedSession, simulate_session
from rtrecon.training import acquire_session

_SEED = 6000  # of movies, behaviour and noise; no training uses it
_LEAD_FRAMES = 300  # shown first and left out, while baselines settle


@dataclass(frozen=True)
class SimulatedRig:
    """A simulated microscope and the neurons that an encoder was trained on.

    mouse: what neurons and field of view are made from. Frames are processed as they
    were for training.
    """

    card: Card
    mouse: ImagedMouseOptions
    seed: int

    @classmethod
    def for_encoder(
        cls, card: Card, seed: int, subject: str | None = None
    ) -> SimulatedRig:
        """Return the rig that an encoder was trained on; UserError if it was real.

        subject: as the user names it, where its file is elsewhere now.
        """
        return cls(card, read_imaged_mouse(card.metadata, card.path, subject), seed)

    def with_another_mouse(self) -> SimulatedRig:
        """Return the rig with as many other neurons, in other places."""
        subject = self.mouse.subject
        other = replace(subject, mouse_seed=subject.mouse_seed + 1)
        return replace(self, mouse=replace(self.mouse, subject=other))

    def map_seen_field(self) -> Array:
        """Return (36, 64): where the neurons look; see `Subject.map_seen_field`."""
        return _make_mouse(self.mouse).mouse.map_seen_field()

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
                name=f"mouse {self.mouse.subject.mouse_seed}, {start / RATE_HZ:g} s",
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
        imaged_mouse = _make_mouse(self.mouse)
        movie_with_margins = np.concatenate([lead, movie, tail])
        session = simulate_session(imaged_mouse, movie_with_margins, "evaluate", seed)
        return session, acquire_session(
            imaged_mouse, session, settings, on_progress
        ).activity


@lru_cache(maxsize=2)  # the mouse and, for a control, another one
def _make_mouse(options: ImagedMouseOptions) -> ImagedMouse:
    return make_imaged_mouse(options)


def _training_settings(card: Card) -> Settings:
    """Return settings that extract traces as the training did."""
    stored = card.metadata.get("traces", {})
    known = {key: stored[key] for key in TracesSettings.model_fields if key in stored}
    return Settings(traces=TracesSettings(**known))
