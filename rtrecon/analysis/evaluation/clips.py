"""The clips of an evaluation, from a recorded or a simulated session."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.analysis.evaluation.request import EvaluationRequest, SimulationRequest
from rtrecon.analysis.evaluation.sensory_rig import SensoryRig
from rtrecon.analysis.evaluation.simulated_rig import SimulatedRig
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.card import Card, find_checkpoint, read_card, require_same_neurons
from rtrecon.inversion.offline.clips import (
    Clip,
    cut_segment,
    list_damage_notices,
    select_segment,
)
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie, repeat_frames
from rtrecon.simulate.sensory_session import is_simulated_sense
from rtrecon.simulate.subjects.receptive_fields import describe_seen_field
from rtrecon.sources.video import read_clip

_MOVIE_SEED = 6500  # no training uses it
_MIN_CLIP_FRAMES = 30


@dataclass(frozen=True)
class EvaluatedSession:
    """Loaded clips. rig: what simulated them; None for a recorded session.

    notes: sentences about clips that were left out or changed to fit, and about what
    cannot be read. frame_s: measured duration of imaging one simulated frame.
    """

    name: str
    clips: list[Clip]
    notes: list[str]
    rig: SimulatedRig | SensoryRig | None = None
    frame_s: float = 0.0

    def select_clips(self, n_clips: int) -> EvaluatedSession:
        """Return the same session with this many of its clips, spread evenly."""
        chosen = _spread_evenly(len(self.clips), n_clips)
        return replace(self, clips=[self.clips[index] for index in chosen])


def load_clips(
    request: EvaluationRequest, on_progress: ProgressCallback
) -> EvaluatedSession:
    """Load the clips to evaluate; UserError if there are none."""
    if request.clip_frames < _MIN_CLIP_FRAMES or request.max_clips < 1:
        raise UserError(
            f"{request.max_clips} clips of {request.clip_frames} frames are too "
            f"few; ask for one clip or more of {_MIN_CLIP_FRAMES} frames or more"
        )
    if isinstance(request.session, SimulationRequest):
        return _simulate_clips(request, request.session, on_progress)
    return _load_recorded(request, request.session)


def _load_recorded(request: EvaluationRequest, path: Path) -> EvaluatedSession:
    segment = select_segment(path, request.start_s, request.seconds)
    sources = cut_segment(segment, request.clip_frames)
    whole = [one for one in sources if one.stop - one.start == request.clip_frames]
    chosen = _spread_evenly(len(whole), request.max_clips)
    notes = list_damage_notices(path)
    if len(chosen) < len(whole):
        notes.append(
            f"{len(chosen)} of {len(whole)} clips are evaluated, spread evenly"
        )
    clips = [whole[index].load() for index in chosen]
    with_activity = [clip for clip in clips if np.isfinite(clip.target.activity).any()]
    if len(with_activity) < len(clips):
        notes.append(
            f"{len(clips) - len(with_activity)} clips without activity are left out"
        )
    if not with_activity:
        raise UserError(
            f"{path} has no clip of {request.clip_frames} frames with activity"
            f"{_format_reasons(notes)}; give a longer session"
        )
    return EvaluatedSession(path.name, with_activity, notes)


def _format_reasons(notes: list[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""


def _simulate_clips(
    request: EvaluationRequest,
    simulation: SimulationRequest,
    on_progress: ProgressCallback,
) -> EvaluatedSession:
    cards = [read_card(find_checkpoint(str(path))) for path in request.encoders]
    for card in cards[1:]:
        require_same_neurons(card, cards[0].rois)
    if is_simulated_sense(cards[0].metadata):
        return _simulate_sense(request, simulation, cards[0], on_progress)
    rig = SimulatedRig.for_encoder(cards[0], request.seed, simulation.subject)
    n_frames = round(simulation.seconds * RATE_HZ)
    n_clips = min(request.max_clips, n_frames // request.clip_frames)
    if not n_clips:
        raise UserError(
            f"{simulation.seconds:g} s are shorter than a clip; give "
            f"{request.clip_frames / RATE_HZ:g} or more"
        )
    movie, notes = _make_movie(simulation, n_clips * request.clip_frames, request.seed)
    on_stage = report_as_stage(on_progress, "imaging the session")
    start_s = time.perf_counter()
    clips = rig.show_movie(movie, request.clip_frames, on_stage)
    frame_s = (time.perf_counter() - start_s) / len(movie)
    notes.append(describe_seen_field(rig.map_seen_field()))
    notes += _list_training_videos(cards[0], simulation.video)
    name = "leaves" if simulation.video is None else simulation.video.stem
    return EvaluatedSession(f"simulated session, {name}", clips, notes, rig, frame_s)


def _simulate_sense(
    request: EvaluationRequest,
    simulation: SimulationRequest,
    card: Card,
    on_progress: ProgressCallback,
) -> EvaluatedSession:
    """Simulate the neurons of another sense; clips are as long in s as of a movie."""
    rig, rate_hz = SensoryRig.for_encoder(card, request.seed), card.space.rate_hz
    clip_frames = round(request.clip_frames / RATE_HZ * rate_hz)
    n_clips = min(request.max_clips, round(simulation.seconds * rate_hz) // clip_frames)
    if not n_clips:
        raise UserError(
            f"{simulation.seconds:g} s are shorter than a clip; give "
            f"{clip_frames / rate_hz:g} or more"
        )
    n_frames, notes = n_clips * clip_frames, list[str]()
    if simulation.video is None:
        levels = rig.make_stimulus(n_frames)
    else:
        sense = rig.neurons.find_sense()
        stimulus = sense.read_stimulus(simulation.video)
        notes += stimulus.notices
        levels = repeat_frames(stimulus.levels, n_frames)
    start_s = time.perf_counter()
    clips = rig.show_movie(levels, clip_frames, on_progress)
    frame_s = (time.perf_counter() - start_s) / n_frames
    shown = "generated" if simulation.video is None else simulation.video.stem
    name = f"simulated session of {card.space.name}, {shown}"
    return EvaluatedSession(name, clips, notes, rig, frame_s)


def _list_training_videos(card: Card, video: Path | None) -> list[str]:
    """Return a sentence if the training showed a video of this name."""
    if video is None or video.name not in card.metadata["simulated"].get("files", []):
        return []
    return [
        f"the encoder was trained on a video named {video.name}; scores of a video "
        "that it was trained on are too good"
    ]


def show_to_another_mouse(
    rig: SimulatedRig | SensoryRig, clips: list[Clip], on_progress: ProgressCallback
) -> list[Clip]:
    """Show the same movies to another mouse; return clips under this encoder's ids."""
    movie = np.concatenate([np.rint(require_stimulus(clip)) for clip in clips])
    on_stage = report_as_stage(on_progress, "imaging another mouse")
    other = rig.with_another_mouse()
    return other.show_movie(movie.astype(np.uint8), len(clips[0].target), on_stage)


def require_stimulus(clip: Clip) -> Array:
    """Return the stimulus of a simulated clip, which is always known."""
    assert clip.stimulus is not None
    return clip.stimulus


def _make_movie(
    simulation: SimulationRequest, n_frames: int, seed: int
) -> tuple[Array, list[str]]:
    """Return uint8 (T, 36, 64), and sentences about how a video was changed."""
    if simulation.video is None:
        return make_natural_movie(n_frames, _MOVIE_SEED + seed), []
    video = read_clip(simulation.video, max_s=n_frames / RATE_HZ)
    notes = [
        f"{simulation.video.name} is shown at {RATE_HZ:g} frames per second, cut and "
        "reduced to 36 x 64 px"
    ]
    if len(video) < n_frames:
        notes.append(f"it lasts {len(video) / RATE_HZ:.1f} s and is repeated")
    times = -(-n_frames // len(video))
    return np.concatenate([video] * times)[:n_frames], notes


def _spread_evenly(count: int, n_max: int) -> list[int]:
    """Return at most `n_max` indices below `count`, evenly spread."""
    indices = np.linspace(0, count - 1, min(count, n_max)).astype(int)
    return sorted(set(indices.tolist()))


def report_as_stage(on_progress: ProgressCallback, stage: str) -> ProgressCallback:
    """Return a callback that reports all progress as this stage."""
    return lambda _, fraction, detail: on_progress(stage, fraction, detail)
