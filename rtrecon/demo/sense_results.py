"""What the demo of another sense leaves behind: figures, picture, files, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from rtrecon.analysis.evaluation.sensory_rig import SensoryRig
from rtrecon.analysis.report import write_report
from rtrecon.config import InversionSettings
from rtrecon.core.figures import save_png
from rtrecon.core.progress import ignore_progress
from rtrecon.core.types import Array
from rtrecon.demo.results import write_summary
from rtrecon.encoder.card import Card
from rtrecon.inversion.live.inversion_pair import choose_held_out
from rtrecon.inversion.offline.clips import RecordedClip
from rtrecon.inversion.offline.ridge_decoder import fit_ridge
from rtrecon.metrics.similarity import video_correlation
from rtrecon.session.movie_pairs import MoviePairs
from rtrecon.session.movie_reader import select_frames_at_lag
from rtrecon.session.session import Session
from rtrecon.sources.stimulus_file import choose_suffix, write_stimulus_file
from rtrecon.stimulus_space.space import StimulusSpace

LAG_S = 0.3  # of the live reconstruction that is compared with ridge regression
_RIDGE_SEED, _RIDGE_CLIPS, _CLIP_S = 7000, 12, 10.0  # what ridge regression learns from
_SETTLED_S = 1.0  # left out at the start
_PICTURE_S = 12.0
_MAX_FRAMES = 30_000


def write_sense_results(
    folder: Path, session: Session, card: Card, summary: dict[str, Any]
) -> dict[str, Any]:
    """Write `summary.json`, a picture, both stimuli as files, and `report.html`.

    Returns the summary with r by position on the first axis, and of ridge regression.
    """
    space = card.space
    summary = summary | compare_with_ridge(session, card)
    write_summary(folder, summary)
    pair = read_pair(session, LAG_S)
    if pair is not None:
        made, shown, _ = pair
        suffix = choose_suffix(space)
        write_stimulus_file(folder / f"reconstruction.{suffix}", made, space)
        write_stimulus_file(folder / f"stimulus.{suffix}", shown, space)
        draw_courses(folder / "reconstruction.png", (shown, made), space)
    write_report(session.path, folder / "report.html")
    return summary


def read_pair(session: Session, lag_s: float) -> tuple[Array, Array, Array] | None:
    """Return reconstruction at a lag, stimulus, and encoder frames; None if none."""
    space = session.about.stimulus_space
    frames = select_frames_at_lag(session.movie, round(lag_s * space.rate_hz))
    pairs = MoviePairs.match_frames(session, frames)
    if not len(pairs):
        return None
    stop = min(len(pairs), _MAX_FRAMES)
    return *pairs.read_pairs(0, stop), pairs.encoder_frames[:stop]


def compare_with_ridge(session: Session, card: Card) -> dict[str, Any]:
    """Return r at `LAG_S` by position on the first axis, and that of ridge regression.

    Ridge regression has learned from two minutes of other stimuli of the same neurons,
    and decodes their recorded spikes, 120 ms after each frame as well. It does not use
    the neurons that are held out of the inversion either.
    """
    pair, space = read_pair(session, LAG_S), card.space
    if pair is None:
        return {"r_by_position": None, "live_r": None, "ridge_r": None}
    made, shown, indices = pair
    is_used = ~_choose_held_out(session, len(card.rois))
    rig = SensoryRig.for_encoder(card, _RIDGE_SEED)
    clip_frames = round(_CLIP_S * space.rate_hz)
    stimulus = rig.make_stimulus(_RIDGE_CLIPS * clip_frames)
    clips = [
        replace(clip, target=replace(clip.target, used_neurons=is_used))
        for clip in rig.show_movie(stimulus, clip_frames, ignore_progress)
    ]
    recorded = RecordedClip(session.path, 0, int(indices[-1]) + 1).load()
    target = replace(recorded.target, used_neurons=is_used)
    decoded = fit_ridge(clips).decode(target)[indices]
    settled = indices >= indices[0] + _SETTLED_S * space.rate_hz
    made, shown, decoded = made[settled], shown[settled], decoded[settled]
    return {
        "live_r": _correlate(made, shown),
        "ridge_r": _correlate(decoded, shown),
        "r_by_position": {
            space.axes[0].describe_position(row): _correlate(
                made[:, row], shown[:, row]
            )
            for row in range(space.shape[0])
        },
    }


def draw_courses(
    path: Path, courses: tuple[Array, Array], space: StimulusSpace
) -> None:
    """Draw stimulus above and reconstruction below, each value a row over time."""
    n = round(_PICTURE_S * space.rate_hz)
    figure = Figure((11, 6), layout="constrained")
    all_axes = figure.subplots(2, 1, sharex=True, sharey=True)
    titles = "stimulus", f"live reconstruction, {LAG_S:g} s later"
    for axes, course, title in zip(all_axes, courses, titles, strict=True):
        values = space.from_levels(course[:n].reshape(-1, space.n_values))
        image = axes.imshow(
            values.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=space.level_limits[0],
            vmax=space.level_limits[1],
            extent=(0, len(values) / space.rate_hz, -0.5, space.n_values - 0.5),
        )
        axes.set(title=title, ylabel=space.axes[0].name)
        figure.colorbar(image, ax=axes, label=f"{space.quantity} ({space.unit})")
    rows = np.linspace(0, space.shape[0] - 1, 6).astype(int)
    labels = [space.axes[0].describe_position(int(row)) for row in rows]
    all_axes[0].set_yticks(rows * space.shape[1], labels)
    all_axes[1].set_xlabel("time (s)")
    save_png(figure, path, dpi=110)


def _choose_held_out(session: Session, n_neurons: int) -> Array:
    """Return bool (n,): the neurons that the live inversion did not use."""
    stored = session.about.settings.get("inversion", {})
    settings = InversionSettings.model_validate(stored)
    generator = torch.Generator().manual_seed(settings.seed)
    found: Array = choose_held_out(n_neurons, settings, generator).numpy()
    return found


def _correlate(made: Array, shown: Array) -> float | None:
    r = video_correlation(made, shown)
    return r if np.isfinite(r) else None
