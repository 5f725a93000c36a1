"""Controls: activity whose quality must fall, and stimuli unlike the training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rtrecon.analysis.evaluation import stimuli
from rtrecon.analysis.evaluation.clips import (
    report_as_stage,
    require_stimulus,
    show_to_another_mouse,
)
from rtrecon.analysis.evaluation.experiment import Experiment
from rtrecon.analysis.evaluation.plan import CONTROL_CLIP_FRAMES
from rtrecon.analysis.evaluation.replay_runner import Condition
from rtrecon.analysis.evaluation.sensory_rig import SensoryRig
from rtrecon.analysis.evaluation.simulated_rig import SimulatedRig
from rtrecon.analysis.evaluation.statistic import StatisticTable
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.simulate.movie import RATE_HZ

_LOW_CONTRAST = 0.4


def run_activity_controls(experiment: Experiment) -> StatisticTable:
    """Return scores of the session's own activity with scrambled frames.

    Scrambled within a clip, the mean over frames survives, and with it what stood
    still. Scrambled between clips, nothing survives.
    """
    scrambled = {"frames scrambled within clips": experiment.clips}
    if len(experiment.clips) > 1:
        between = _draw_from_other_clips(
            experiment.clips, experiment.runner.settings.seed
        )
        scrambled["frames scrambled between clips"] = between
    table: StatisticTable = {}
    for name, clips in scrambled.items():
        condition = Condition(name, change=experiment.runner.scramble_frames)
        table[name] = experiment.run_condition(condition, clips)
    return table


def _draw_from_other_clips(clips: Sequence[Clip], seed: int) -> list[Clip]:
    """Return the clips with frames of activity drawn from all other clips."""
    rng = np.random.default_rng([seed, 23])
    mixed = []
    for clip in clips:
        others = [other.target.activity for other in clips if other is not clip]
        drawn = rng.choice(np.concatenate(others), len(clip.target))
        mixed.append(replace(clip, target=replace(clip.target, activity=drawn)))
    return mixed


def run_simulated_controls(
    experiment: Experiment, rig: SimulatedRig | SensoryRig, n_stimulus_clips: int
) -> StatisticTable:
    """Return scores of another mouse's activity, and of unusual stimuli.

    n_stimulus_clips: how many clips of each unusual stimulus are shown.
    """
    foreign = show_to_another_mouse(rig, list(experiment.clips), experiment.on_progress)
    condition = Condition("another mouse")
    table = {condition.name: experiment.run_condition(condition, foreign)}
    if isinstance(rig, SensoryRig):
        return table  # the unusual stimuli are movies
    return table | _run_unusual_stimuli(experiment, rig, n_stimulus_clips)


def _run_unusual_stimuli(
    experiment: Experiment, rig: SimulatedRig, n_clips: int
) -> StatisticTable:
    """Show all stimuli in one session and reconstruct each clip."""
    movies_by_name = dict(_iterate_stimuli(experiment.clips[:n_clips], rig.seed))
    n_frames = len(next(iter(movies_by_name.values()))[0])
    movie = np.concatenate(
        [clip for clips in movies_by_name.values() for clip in clips]
    )
    on_stage = report_as_stage(experiment.on_progress, "imaging the controls")
    imaged_clips = iter(rig.show_movie(movie, n_frames, on_stage))
    table: StatisticTable = {}
    for name, clips in movies_by_name.items():
        clips_of_stimulus = [next(imaged_clips) for _ in clips]
        table[name] = experiment.run_condition(Condition(name), clips_of_stimulus)
    return table


def _iterate_stimuli(
    clips: Sequence[Clip], seed: int
) -> Iterator[tuple[str, list[Array]]]:
    """Yield each control's name and its movies, all equally long."""
    n = min(CONTROL_CLIP_FRAMES, len(clips[0].target))
    natural = [require_stimulus(clip)[:n] for clip in clips]
    low = _LOW_CONTRAST
    yield f"contrast x {low:g}", [stimuli.scale_contrast(m, low) for m in natural]
    yield "light and dark inverted", [stimuli.invert_contrast(m) for m in natural]
    for number, scales in enumerate(stimuli.NOISE_SCALES):
        noises = [
            stimuli.make_noise(n, scales, seed * 1000 + number * 100 + k)
            for k in range(len(clips))
        ]
        yield f"noise {scales[0]:g} px x {scales[1]:g} frames", noises
        if not number:
            yield (
                "the same noise, inverted",
                [stimuli.invert_contrast(m) for m in noises],
            )
    for cycles_per_px, rate_hz in stimuli.GRATINGS:
        angles = np.pi / 2 * np.arange(len(clips))
        yield (
            f"grating {cycles_per_px:g} cycles/px {rate_hz:g} Hz",
            [
                stimuli.make_grating(n, cycles_per_px, rate_hz / RATE_HZ, angle)
                for angle in angles.tolist()
            ],
        )
