"""Controls: what should fall to the null level, and stimuli unlike any trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rtrecon.analysis.evaluation import stimuli
from rtrecon.analysis.evaluation.clips import another_mouse, named, shown_in
from rtrecon.analysis.evaluation.experiment import Study
from rtrecon.analysis.evaluation.figure import Table
from rtrecon.analysis.evaluation.replay_runner import Way
from rtrecon.analysis.evaluation.simulated_rig import Rig
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.simulate.movie import RATE_HZ

MOST_CLIPS = 4  # of each stimulus
_CLIP_FRAMES = 150
_LOW_CONTRAST = 0.4


def activity_controls(study: Study) -> Table:
    """Return figures of the session's own activity with its frames scrambled.

    Within a clip the mean over its frames survives, and with it what stood still;
    between clips nothing does.
    """
    scrambled = {"frames scrambled within clips": study.clips}
    if len(study.clips) > 1:
        between = _from_others(study.clips, study.bench.settings.seed)
        scrambled["frames scrambled between clips"] = between
    table: Table = {}
    for name, clips in scrambled.items():
        way = Way(name, change=study.bench.scrambled)
        table[name] = study.compared(study.bench.made(clips, way, study.report))
    return table


def _from_others(clips: Sequence[Clip], seed: int) -> list[Clip]:
    """Return the clips, each with frames of activity drawn from all others."""
    rng = np.random.default_rng([seed, 23])
    dealt = []
    for clip in clips:
        others = [other.target.activity for other in clips if other is not clip]
        drawn = rng.choice(np.concatenate(others), len(clip.target))
        dealt.append(replace(clip, target=replace(clip.target, activity=drawn)))
    return dealt


def simulated_controls(study: Study, rig: Rig) -> Table:
    """Return figures of another mouse's activity, and of unusual stimuli."""
    foreign = another_mouse(rig, list(study.clips), study.report)
    way = Way("another mouse")
    table = {way.name: study.compared(study.bench.made(foreign, way, study.report))}
    return table | _stimuli(study, rig)


def _stimuli(study: Study, rig: Rig) -> Table:
    """Show all stimuli in one session, and reconstruct each clip of it."""
    programme = dict(_programme(study.clips[:MOST_CLIPS], rig.seed))
    n_frames = len(next(iter(programme.values()))[0])
    movie = np.concatenate([clip for clips in programme.values() for clip in clips])
    told = named(study.report, "imaging the controls")
    seen = iter(rig.shown(movie, n_frames, told))
    table: Table = {}
    for name, clips in programme.items():
        own = [next(seen) for _ in clips]
        made = study.bench.made(own, Way(name), study.report)
        table[name] = study.compared(made)
    return table


def _programme(clips: Sequence[Clip], seed: int) -> Iterator[tuple[str, list[Array]]]:
    """Yield each control's name and its movies, all equally long."""
    n = min(_CLIP_FRAMES, len(clips[0].target))
    natural = [shown_in(clip)[:n] for clip in clips]
    low = _LOW_CONTRAST
    yield f"contrast x {low:g}", [stimuli.scaled_contrast(m, low) for m in natural]
    yield "light and dark inverted", [stimuli.inverted(m) for m in natural]
    for number, scales in enumerate(stimuli.NOISES):
        noises = [
            stimuli.noise(n, scales, seed * 1000 + number * 100 + k)
            for k in range(len(clips))
        ]
        yield f"noise {scales[0]:g} px x {scales[1]:g} frames", noises
        if not number:
            yield "the same noise, inverted", [stimuli.inverted(m) for m in noises]
    for cycles_per_px, rate_hz in stimuli.GRATINGS:
        angles = np.pi / 2 * np.arange(len(clips))
        yield (
            f"grating {cycles_per_px:g} cycles/px {rate_hz:g} Hz",
            [
                stimuli.grating(n, cycles_per_px, rate_hz / RATE_HZ, angle)
                for angle in angles.tolist()
            ],
        )
