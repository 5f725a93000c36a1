"""The clips that are evaluated, of a recorded session or of one to simulate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.analysis.evaluation.request import Plan, Simulation
from rtrecon.analysis.evaluation.simulated_rig import Rig
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import find, read_card, require_same_neurons
from rtrecon.inversion.offline.clips import Clip, clips_of
from rtrecon.inversion.offline.target import Report
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.sources.video import read_clip

_MOVIE_SEED = 6500  # far from every movie trained on
_FEWEST_FRAMES = 30  # of a clip


@dataclass(frozen=True)
class Subject:
    """Clips at hand. rig: what simulated them; None of a recorded session.

    notes: sentences on what was left out, or made to fit.
    """

    name: str
    clips: list[Clip]
    notes: list[str]
    rig: Rig | None = None


def open_subject(plan: Plan, report: Report) -> Subject:
    """Return what is to be evaluated; UserError if there is nothing."""
    if plan.clip_frames < _FEWEST_FRAMES or plan.most_clips < 1:
        raise UserError(
            f"{plan.most_clips} clips of {plan.clip_frames} frames tell nothing; take "
            f"one or more of {_FEWEST_FRAMES} frames or more"
        )
    if isinstance(plan.session, Simulation):
        return _simulated(plan, plan.session, report)
    return _recorded(plan, plan.session)


def _recorded(plan: Plan, path: Path) -> Subject:
    sources = clips_of(path, plan.clip_frames)
    whole = [one for one in sources if one.stop - one.start == plan.clip_frames]
    chosen = _spread(len(whole), plan.most_clips)
    notes = []
    if len(chosen) < len(whole):
        notes.append(f"{len(chosen)} of {len(whole)} clips are judged, spread evenly")
    clips = [whole[place].load() for place in chosen]
    heard = [clip for clip in clips if np.isfinite(clip.target.activity).any()]
    if len(heard) < len(clips):
        notes.append(f"{len(clips) - len(heard)} clips without activity are left out")
    if not heard:
        raise UserError(
            f"{path} holds no activity for a clip of {plan.clip_frames} frames; give a "
            "longer session"
        )
    return Subject(path.name, heard, notes)


def _simulated(plan: Plan, simulation: Simulation, report: Report) -> Subject:
    cards = [read_card(find(str(path))) for path in plan.encoders]
    for card in cards[1:]:
        require_same_neurons(card, cards[0].rois)
    rig = Rig.of(cards[0], plan.seed)
    n_frames = round(simulation.seconds * RATE_HZ)
    n_clips = min(plan.most_clips, n_frames // plan.clip_frames)
    if not n_clips:
        raise UserError(
            f"{simulation.seconds:g} s are shorter than a clip; give "
            f"{plan.clip_frames / RATE_HZ:g} or more"
        )
    movie, notes = _movie(simulation, n_clips * plan.clip_frames, plan.seed)
    clips = rig.shown(movie, plan.clip_frames, named(report, "imaging the session"))
    name = "leaves" if simulation.video is None else simulation.video.stem
    return Subject(f"simulated session, {name}", clips, notes, rig)


def another_mouse(rig: Rig, clips: list[Clip], report: Report) -> list[Clip]:
    """Return the same movies as another mouse saw them, under this encoder's ids."""
    other = replace(rig, mouse=rig.mouse + 1)
    movie = np.concatenate([np.rint(shown_in(clip)) for clip in clips])
    told = named(report, "imaging another mouse")
    return other.shown(movie.astype(np.uint8), len(clips[0].target), told)


def shown_in(clip: Clip) -> Array:
    """Return the stimulus of a simulated clip."""
    assert clip.shown is not None
    return clip.shown


def _movie(simulation: Simulation, n_frames: int, seed: int) -> tuple[Array, list[str]]:
    """Return uint8 (T, 36, 64), and what was done to a video to make it fit."""
    if simulation.video is None:
        return natural_movie(n_frames, _MOVIE_SEED + seed), []
    video = read_clip(simulation.video, max_s=n_frames / RATE_HZ)
    notes = [
        f"{simulation.video.name} is shown at {RATE_HZ:g} frames per second, cut and "
        "reduced to 36 x 64 px"
    ]
    if len(video) < n_frames:
        notes.append(f"it lasts {len(video) / RATE_HZ:.1f} s and is repeated")
    times = -(-n_frames // len(video))
    return np.concatenate([video] * times)[:n_frames], notes


def _spread(count: int, most: int) -> list[int]:
    """Return places of at most so many of `count`, evenly spread."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).astype(int).tolist()))


def named(report: Report, stage: str) -> Report:
    """Return how a part of the work reports: as one stage of this name."""
    return lambda _, share, word: report(stage, share, word)
