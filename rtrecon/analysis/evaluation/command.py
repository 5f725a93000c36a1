"""What `rtrecon evaluate` does: a session and encoders in, figures and a page out."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import rtrecon
from rtrecon.analysis.evaluation import maps
from rtrecon.analysis.evaluation.behavior_states import by_state, states
from rtrecon.analysis.evaluation.clips import Subject, open_subject
from rtrecon.analysis.evaluation.controls import activity_controls, simulated_controls
from rtrecon.analysis.evaluation.evaluation import Evaluation
from rtrecon.analysis.evaluation.experiment import NULL, Study
from rtrecon.analysis.evaluation.figure import Table
from rtrecon.analysis.evaluation.html_page import write_web
from rtrecon.analysis.evaluation.page import draw_page
from rtrecon.analysis.evaluation.replay_runner import Bench
from rtrecon.analysis.evaluation.request import Plan
from rtrecon.analysis.evaluation.scores import REASONS, Scorer
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.offline.compact import STEPS_PER_HOP
from rtrecon.inversion.offline.encoder_files import open_checkpoint
from rtrecon.inversion.offline.jobs import file_hash
from rtrecon.inversion.offline.mask_command import read_mask
from rtrecon.inversion.offline.results import make_room
from rtrecon.inversion.offline.target import Report, silent
from rtrecon.inversion.offline.transparency_mask import EVALUATED_FROM

FIGURES, PAGE, WEB = "evaluation.json", "evaluation.png", "evaluation.html"


def evaluate(plan: Plan, report: Report = silent) -> Evaluation:
    """Evaluate a session; the same plan tells the same figures. Raises UserError.

    Writes `evaluation.json`, `evaluation.png` and `evaluation.html` into `plan.out`.
    """
    started = time.monotonic()
    mask = _require_sense(plan)
    subject = open_subject(plan, report)
    checkpoints = [open_checkpoint(path, subject.clips[0]) for path in plan.encoders]
    bench = Bench.of(checkpoints[0], plan.seed)
    study = Study.of(bench, Scorer(bench.hidden, mask), subject.clips, report)
    tables = _tables(plan, subject, study, checkpoints[1:])
    evaluation = _told(plan, subject, study, tables)
    evaluation.about["wall_s"] = round(time.monotonic() - started, 1)
    _write(plan.out, evaluation)
    return evaluation


def _require_sense(plan: Plan) -> Array | None:
    """Look for what can be told at once; returns the mask, if there is one."""
    if not plan.encoders:
        raise UserError("no encoder is given; name one with --encoder")
    make_room(plan.out)
    if plan.mask is None:
        return None
    inside = read_mask(plan.mask) >= EVALUATED_FROM
    if not inside.any():
        raise UserError(
            f"mask {plan.mask} is below {EVALUATED_FROM:g} everywhere, so there are no "
            "pixels to take figures over; train it with more steps"
        )
    return inside


def _tables(
    plan: Plan, subject: Subject, study: Study, others: Sequence[Checkpoint]
) -> dict[str, Table]:
    tables = {
        "quality": study.quality(),
        "lag": study.lags(),
        "neurons": study.neurons(),
        "steps": study.steps(),
        "behavior": by_state(study.plain, study.scorer),
    }
    if others:
        tables["encoders"] = study.encoders(others)
    if plan.controls:
        tables["controls"] = _controls(subject, study, tables["quality"])
    return tables


def _controls(subject: Subject, study: Study, quality: Table) -> Table:
    table = {"neurons permuted": quality[NULL], **activity_controls(study)}
    if subject.rig is not None:
        table |= simulated_controls(study, subject.rig)
    return table


def _told(
    plan: Plan, subject: Subject, study: Study, tables: dict[str, Table]
) -> Evaluation:
    scores = [study.scorer.in_full(made) for made in study.plain]
    known = np.array([score["video_r"] for score in scores])
    if not np.isfinite(known).any():
        known = np.array([score["held_out_r"] for score in scores])
    ranked = np.argsort(np.nan_to_num(known, nan=-np.inf), kind="stable")
    identifiability = maps.identifiability(study.plain)
    calibration = study.bench.checkpoint.calibration
    map_of = "these clips: share of each pixel's variance that was recovered"
    if identifiability is None:
        identifiability = calibration.identifiability.numpy()
        map_of = "the encoder's training, for the stimulus of these clips is not known"
    return Evaluation(
        about=_about(plan, subject, study),
        tables=tables,
        clips=[
            {"name": clip.name, **{k: _number(score[k]) for k in REASONS if k in score}}
            for clip, score in zip(subject.clips, scores, strict=True)
        ],
        notes=[*subject.notes, *_unknown(tables)],
        map=identifiability,
        map_of=map_of,
        state_maps=maps.by_state(study.plain, states(study.plain)),
        best=study.plain[ranked[-1]],
        worst=study.plain[ranked[0]],
    )


def _about(plan: Plan, subject: Subject, study: Study) -> dict[str, Any]:
    clip = subject.clips[0]
    return {
        "version": rtrecon.__version__,
        "session": subject.name,
        "simulated": subject.rig is not None,
        "seed": plan.seed,
        "clips_judged": len(subject.clips),
        "frames_per_clip": len(clip.target),
        "rate_hz": clip.rate_hz,
        "neurons": len(study.bench.hidden),
        "neurons_held_out": int(study.bench.hidden.sum()),
        "steps_per_hop": STEPS_PER_HOP,
        "encoders": {str(path): file_hash(path) for path in plan.encoders},
        "mask": None if plan.mask is None else str(plan.mask),
    }


def _unknown(tables: dict[str, Table]) -> list[str]:
    """Return why figures are missing, one sentence for each reason."""
    figures = [
        figure
        for table in tables.values()
        for row in table.values()
        for figure in row.values()
    ]
    return sorted({figure.why for figure in figures if figure.why is not None})


def _number(value: float) -> float | None:
    """Return what JSON can say."""
    return round(value, 4) if math.isfinite(value) else None


def _write(folder: Path, evaluation: Evaluation) -> None:
    (folder / FIGURES).write_text(evaluation.as_json(), encoding="utf-8")
    draw_page(evaluation, folder / PAGE)
    write_web(evaluation, folder / PAGE, folder / WEB)
