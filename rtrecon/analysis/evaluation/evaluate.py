"""`rtrecon evaluate`: scores a reconstruction against nulls and controls."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.analysis.evaluation import maps
from rtrecon.analysis.evaluation.behavior_states import score_by_state, split_by_state
from rtrecon.analysis.evaluation.clips import EvaluatedSession, load_clips
from rtrecon.analysis.evaluation.controls import (
    run_activity_controls,
    run_simulated_controls,
)
from rtrecon.analysis.evaluation.experiment import NULL_ROW, Experiment
from rtrecon.analysis.evaluation.html_page import write_html
from rtrecon.analysis.evaluation.picture_page import draw_page
from rtrecon.analysis.evaluation.replay_runner import ReplayRunner
from rtrecon.analysis.evaluation.request import EvaluationRequest
from rtrecon.analysis.evaluation.result import EvaluationResult
from rtrecon.analysis.evaluation.scores import MISSING_REASONS, ClipScorer
from rtrecon.analysis.evaluation.statistic import StatisticTable
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.core.version import __version__
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.offline.encoder_files import open_checkpoint
from rtrecon.inversion.offline.jobs import hash_encoder_file
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP
from rtrecon.inversion.offline.mask_command import read_mask
from rtrecon.inversion.offline.results import create_folder
from rtrecon.inversion.offline.transparency_mask import MIN_EVALUATED_MASK

RESULT_FILE, PAGE_FILE, HTML_FILE = (
    "evaluation.json",
    "evaluation.png",
    "evaluation.html",
)


def evaluate_session(
    request: EvaluationRequest, on_progress: ProgressCallback = ignore_progress
) -> EvaluationResult:
    """Evaluate a session; the same request gives the same figures. Raises UserError.

    Writes `evaluation.json`, `evaluation.png` and `evaluation.html` into `plan.out`.
    """
    started = time.monotonic()
    mask = _check_request(request)
    session = load_clips(request, on_progress)
    checkpoints = [open_checkpoint(path, session.clips[0]) for path in request.encoders]
    runner = ReplayRunner.create(checkpoints[0], request.seed)
    experiment = Experiment.reconstruct_clips(
        runner, ClipScorer(runner.held_out, mask), session.clips, on_progress
    )
    tables = _make_tables(request, session, experiment, checkpoints[1:])
    evaluation = _assemble_result(request, session, experiment, tables)
    evaluation.about["wall_s"] = round(time.monotonic() - started, 1)
    _write_files(request.output_folder, evaluation)
    return evaluation


def _check_request(request: EvaluationRequest) -> Array | None:
    """Check the request before any long work; return the mask, if it names one."""
    if not request.encoders:
        raise UserError("no encoder is given; name one with --encoder")
    create_folder(request.output_folder)
    if request.mask is None:
        return None
    inside = read_mask(request.mask) >= MIN_EVALUATED_MASK
    if not inside.any():
        raise UserError(
            f"mask {request.mask} is below {MIN_EVALUATED_MASK:g} "
            "everywhere: no pixel is left to score; train the mask with more steps"
        )
    return inside


def _make_tables(
    request: EvaluationRequest,
    session: EvaluatedSession,
    experiment: Experiment,
    others: Sequence[Checkpoint],
) -> dict[str, StatisticTable]:
    tables = {
        "quality": experiment.measure_quality(),
        "lag": experiment.compare_lags(),
        "neurons": experiment.compare_neuron_counts(),
        "steps": experiment.compare_step_counts(),
        "behavior": score_by_state(experiment.results, experiment.scorer),
    }
    if others:
        tables["encoders"] = experiment.compare_encoders(others)
    if request.with_controls:
        tables["controls"] = _run_controls(session, experiment, tables["quality"])
    return tables


def _run_controls(
    session: EvaluatedSession, experiment: Experiment, quality: StatisticTable
) -> StatisticTable:
    table = {"neurons permuted": quality[NULL_ROW], **run_activity_controls(experiment)}
    if session.rig is not None:
        table |= run_simulated_controls(experiment, session.rig)
    return table


def _assemble_result(
    request: EvaluationRequest,
    session: EvaluatedSession,
    experiment: Experiment,
    tables: dict[str, StatisticTable],
) -> EvaluationResult:
    scores = [experiment.scorer.score_fully(made) for made in experiment.results]
    known = np.array([score["video_r"] for score in scores])
    if not np.isfinite(known).any():
        known = np.array([score["held_out_r"] for score in scores])
    ranked = np.argsort(np.nan_to_num(known, nan=-np.inf), kind="stable")
    identifiability = maps.map_identifiability(experiment.results)
    calibration = experiment.runner.checkpoint.calibration
    map_of = "the share of each pixel's variance that was recovered in these clips"
    if identifiability is None:
        identifiability = calibration.identifiability.numpy()
        map_of = (
            "what the training found, because the stimulus of these clips is not known"
        )
    return EvaluationResult(
        about=_describe_run(request, session, experiment),
        tables=tables,
        clips=[
            {
                "name": clip.name,
                **{k: _to_json_number(score[k]) for k in MISSING_REASONS if k in score},
            }
            for clip, score in zip(session.clips, scores, strict=True)
        ],
        notes=[*session.notes, *_list_missing_reasons(tables)],
        identifiability_map=identifiability,
        map_source=map_of,
        state_maps=maps.map_by_state(
            experiment.results, split_by_state(experiment.results)
        ),
        best=experiment.results[ranked[-1]],
        worst=experiment.results[ranked[0]],
    )


def _describe_run(
    request: EvaluationRequest, session: EvaluatedSession, experiment: Experiment
) -> dict[str, Any]:
    clip = session.clips[0]
    return {
        "version": __version__,
        "session": session.name,
        "simulated": session.rig is not None,
        "seed": request.seed,
        "clips_judged": len(session.clips),
        "frames_per_clip": len(clip.target),
        "rate_hz": clip.rate_hz,
        "neurons": len(experiment.runner.held_out),
        "neurons_held_out": int(experiment.runner.held_out.sum()),
        "steps_per_hop": STEPS_PER_HOP,
        "encoders": {str(path): hash_encoder_file(path) for path in request.encoders},
        "mask": None if request.mask is None else str(request.mask),
    }


def _list_missing_reasons(tables: dict[str, StatisticTable]) -> list[str]:
    """Return one sentence for each reason why a score is missing."""
    figures = [
        figure
        for table in tables.values()
        for row in table.values()
        for figure in row.values()
    ]
    return sorted(
        {
            figure.missing_reason
            for figure in figures
            if figure.missing_reason is not None
        }
    )


def _to_json_number(value: float) -> float | None:
    """Return a rounded number, or None where JSON has no number for it."""
    return round(value, 4) if math.isfinite(value) else None


def _write_files(folder: Path, evaluation: EvaluationResult) -> None:
    (folder / RESULT_FILE).write_text(evaluation.to_json(), encoding="utf-8")
    draw_page(evaluation, folder / PAGE_FILE)
    write_html(evaluation, folder / PAGE_FILE, folder / HTML_FILE)
