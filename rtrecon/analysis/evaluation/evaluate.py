"""`rtrecon evaluate`: scores a reconstruction against nulls and controls."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.analysis.evaluation import maps
from rtrecon.analysis.evaluation.behavior_states import (
    has_behavior,
    score_by_state,
    split_by_state,
)
from rtrecon.analysis.evaluation.clips import EvaluatedSession, load_clips
from rtrecon.analysis.evaluation.controls import (
    run_activity_controls,
    run_simulated_controls,
)
from rtrecon.analysis.evaluation.experiment import (
    MAIN_SCORES,
    NULL_ROW,
    Experiment,
)
from rtrecon.analysis.evaluation.html_page import write_html
from rtrecon.analysis.evaluation.picture_page import draw_page
from rtrecon.analysis.evaluation.plan import EvaluationPlan, Workload
from rtrecon.analysis.evaluation.progress import EvaluationProgress
from rtrecon.analysis.evaluation.replay_runner import ReplayRunner
from rtrecon.analysis.evaluation.request import EvaluationRequest, SimulationRequest
from rtrecon.analysis.evaluation.result import EvaluationResult, tables_to_json
from rtrecon.analysis.evaluation.scores import MISSING_REASONS, ClipScorer
from rtrecon.analysis.evaluation.statistic import StatisticTable
from rtrecon.analysis.evaluation.unfinished import UnfinishedFiles
from rtrecon.core.errors import UserError
from rtrecon.core.files import write_atomically
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.core.version import __version__
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.device_memory import ignore_notice
from rtrecon.encoder.sensitivity import find_visual_field
from rtrecon.inversion.device import limit_threads
from rtrecon.inversion.offline.clips import find_session_encoder
from rtrecon.inversion.offline.encoder_files import open_checkpoint
from rtrecon.inversion.offline.jobs import hash_encoder_file
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP
from rtrecon.inversion.offline.mask_command import read_mask
from rtrecon.inversion.offline.results import create_folder
from rtrecon.inversion.offline.transparency_mask import MIN_EVALUATED_MASK
from rtrecon.metrics.visual_field import MIN_SENSITIVITY

RESULT_FILE, PAGE_FILE, HTML_FILE = (
    "evaluation.json",
    "evaluation.png",
    "evaluation.html",
)
PARTIAL_FILE = "evaluation-partial.json"


def evaluate_session(
    request: EvaluationRequest,
    on_progress: ProgressCallback = ignore_progress,
    notify: Callable[[str], None] = ignore_notice,
) -> EvaluationResult:
    """Evaluate a session; UserError where that is impossible.

    The same request gives the same figures, if it is thorough or ends in ten minutes.
    notify: receives sentences before the work starts: what it does and how long it
    takes. Writes `evaluation.json`, `evaluation.png` and `evaluation.html` into the
    output folder, and after each table what is known so far as
    `evaluation-partial.json`.
    """
    started_s = time.monotonic()
    request = _choose_encoders(request)
    mask = _check_request(request)
    files = UnfinishedFiles(
        request.output_folder, _describe_job(request), resume=request.resume
    )
    session = load_clips(request, on_progress)
    checkpoints = [open_checkpoint(path, session.clips[0]) for path in request.encoders]
    runner = replace(ReplayRunner.create(checkpoints[0], request.seed), files=files)
    with limit_threads(checkpoints[0].encoder):
        workload = _measure_workload(request, session, runner)
        plan = _choose_plan(request, workload, files, notify)
        session = session.select_clips(plan.n_clips)
        progress = EvaluationProgress(workload.count_passes(plan), on_progress)
        experiment = Experiment.reconstruct_clips(
            replace(runner, progress=progress),
            ClipScorer(runner.held_out, find_visual_field(checkpoints[0]), mask),
            session.clips,
            on_progress,
        )
        about = _describe_run(request, session, experiment)
        tables: dict[str, StatisticTable] = {}
        for name, table in _iterate_tables(
            request, session, experiment, checkpoints[1:], plan
        ):
            tables[name] = table
            _write_partial_result(request.output_folder, about, tables)
    progress.finish()
    about["wall_s"] = round(time.monotonic() - started_s, 1)
    evaluation = _assemble_result(about, session, experiment, tables)
    _write_files(request.output_folder, evaluation)
    files.delete()
    return evaluation


def _choose_encoders(request: EvaluationRequest) -> EvaluationRequest:
    """Return the request with its session's own encoder, if it names none."""
    if request.encoders:
        return request
    if isinstance(request.session, SimulationRequest):
        return replace(request, encoders=[Path("demo")])
    return replace(request, encoders=[find_session_encoder(request.session)])


def _check_request(request: EvaluationRequest) -> Array | None:
    """Check the request before any long work; return the mask, if it names one."""
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


def _describe_job(request: EvaluationRequest) -> dict[str, Any]:
    """Return all that decides the result, to recognize an interrupted evaluation."""
    return {
        "version": __version__,
        "session": str(request.session),
        "encoders": [hash_encoder_file(path) for path in request.encoders],
        "seed": request.seed,
        "controls": request.with_controls,
        "clip_frames": request.clip_frames,
        "max_clips": request.max_clips,
        "start_s": request.start_s,
        "seconds": request.seconds,
        "thorough": request.thorough,
    }


def _measure_workload(
    request: EvaluationRequest, session: EvaluatedSession, runner: ReplayRunner
) -> Workload:
    return Workload(
        n_clips=len(session.clips),
        clip_frames=len(session.clips[0].target),
        hop_frames=runner.settings.hop_frames,
        n_encoders=len(request.encoders),
        with_controls=request.with_controls,
        is_simulated=session.rig is not None,
        has_pictures=session.clips[0].space.is_picture,
        pass_s=runner.measure_pass_s(session.clips[0]),
        frame_s=session.frame_s,
    )


def _choose_plan(
    request: EvaluationRequest,
    workload: Workload,
    files: UnfinishedFiles,
    notify: Callable[[str], None],
) -> EvaluationPlan:
    """Return the plan of the interrupted evaluation, or a new one, and announce it."""
    if files.plan is not None:
        notify(workload.describe(files.plan, is_resumed=True))
        return files.plan
    plan = workload.make_full_plan() if request.thorough else workload.choose_plan()
    notify(workload.describe(plan))
    files.save_plan(plan)
    return plan


def _iterate_tables(
    request: EvaluationRequest,
    session: EvaluatedSession,
    experiment: Experiment,
    others: Sequence[Checkpoint],
    plan: EvaluationPlan,
) -> Iterator[tuple[str, StatisticTable]]:
    """Compute one table after the other; yield its name and itself."""
    quality = experiment.measure_quality()
    yield "quality", quality
    yield "lag", experiment.compare_lags()
    if has_behavior(experiment.results):
        yield "behavior", score_by_state(experiment.results, experiment.scorer)
    yield "neurons", experiment.compare_neuron_counts()
    yield "steps", experiment.compare_step_counts()
    if others:
        yield "encoders", experiment.compare_encoders(others)
    if request.with_controls:
        yield "controls", _run_controls(session, experiment, quality, plan)


def _run_controls(
    session: EvaluatedSession,
    experiment: Experiment,
    quality: StatisticTable,
    plan: EvaluationPlan,
) -> StatisticTable:
    null = {name: quality[NULL_ROW][name] for name in MAIN_SCORES}
    table = {"neurons permuted": null, **run_activity_controls(experiment)}
    if session.rig is not None:
        table |= run_simulated_controls(experiment, session.rig, plan.n_control_clips)
    return table


def _assemble_result(
    about: dict[str, Any],
    session: EvaluatedSession,
    experiment: Experiment,
    tables: dict[str, StatisticTable],
) -> EvaluationResult:
    scores = experiment.score_clips(experiment.results)
    r = np.array([score["visual_field_r"] for score in scores])
    if not np.isfinite(r).any():
        r = np.array([score["held_out_r"] for score in scores])
    ranked = np.argsort(np.nan_to_num(r, nan=-np.inf), kind="stable")
    identifiability = maps.map_identifiability(experiment.results)
    calibration = experiment.runner.checkpoint.calibration
    map_source = "the share of each pixel's variance that was recovered in these clips"
    if identifiability is None:
        identifiability = calibration.identifiability.numpy()
        map_source = (
            "what the training found, because the stimulus of these clips is not known"
        )
    return EvaluationResult(
        about=about,
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
        map_source=map_source,
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
        "visual_field": f"{experiment.scorer.visual_field.mean():.0%} of the screen: "
        f"pixels of at least {MIN_SENSITIVITY:g} of the encoder's largest sensitivity",
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


def _write_partial_result(
    folder: Path, about: dict[str, Any], tables: dict[str, StatisticTable]
) -> None:
    document = about | {"complete": False, "tables": tables_to_json(tables)}
    text = json.dumps(document, indent=1, allow_nan=False)
    write_atomically(folder / PARTIAL_FILE, text + "\n")


def _write_files(folder: Path, evaluation: EvaluationResult) -> None:
    (folder / RESULT_FILE).write_text(evaluation.to_json(), encoding="utf-8")
    draw_page(evaluation, folder / PAGE_FILE)
    write_html(evaluation, folder / PAGE_FILE, folder / HTML_FILE)
    (folder / PARTIAL_FILE).unlink(missing_ok=True)
