"""`rtrecon evaluate` on sessions whose neurons are the encoder's own.

Activity is drawn from the very encoder that inverts it, so that the reconstruction has
to be good, and each control has to be bad in the way that it is made to be.
"""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtGui import QImage
from rich.console import Console

from rtrecon.analysis.evaluation import (
    EvaluationRequest,
    evaluate_session,
    make_terminal_table,
)
from rtrecon.analysis.evaluation.clips import load_clips
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ignore_progress
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.metrics.similarity import video_correlation
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ARRAYS_FOLDER, ActivityRow
from tests.support import inversion_world as world
from tests.support import session_tables

CLIP_FRAMES, N_CLIPS = 75, 3
TABLES = {"quality", "lag", "neurons", "steps", "behavior", "controls", "encoders"}
MISTAKES = {
    "no encoder": (
        lambda request: replace(request, encoders=[]),
        "no encoder; name one",
    ),
    "short clips": (
        lambda request: replace(request, clip_frames=3),
        "3 frames are too few",
    ),
    "short session": (
        lambda request: replace(request, clip_frames=999),
        "longer session",
    ),
    "no session": (
        lambda request: replace(request, session=Path("x")),
        "not a recorded session",
    ),
    "no checkpoint": (
        lambda request: replace(request, encoders=[Path("x")]),
        "cannot be read",
    ),
}


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Still at first, then running; the pupil wide in every other second."""
    made = world.make_clip(N_CLIPS * CLIP_FRAMES + 10)
    behavior = np.zeros((len(made.target), 2), np.float32)
    behavior[:, 0] = 30 + 5 * (np.arange(len(behavior)) // 30 % 2)
    behavior[CLIP_FRAMES:, 1] = 5
    return replace(made, target=InversionTarget(made.target.activity, behavior))


@pytest.fixture(scope="module")
def session(clip, tmp_path_factory) -> Path:
    return world.record_clip(tmp_path_factory.mktemp("recordings"), clip)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> list[Path]:
    """The neurons' own, and one of other neurons under the same ids."""
    folder = tmp_path_factory.mktemp("encoders")
    return [world.save_encoder(folder / f"{name}.safetensors", name) for name in (0, 5)]


@pytest.fixture(scope="module")
def evaluation_request(session, encoders, tmp_path_factory) -> EvaluationRequest:
    out = tmp_path_factory.mktemp("out")
    mask = np.zeros((36, 64), np.float32)
    mask[:, :32] = 1.0
    np.save(out / "left.npy", mask)
    return EvaluationRequest(
        session, out, encoders, out / "left.npy", clip_frames=CLIP_FRAMES
    )


@pytest.fixture(scope="module")
def result(evaluation_request):
    torch.set_num_threads(1)
    return evaluate_session(evaluation_request)


def record_without_stimulus(clip: Clip, folder: Path, encoder: Path) -> Path:
    """Record activity only, as a daemon does whose settings name this encoder."""
    about = session_tables.make_about(
        neuron_ids=clip.neuron_ids.tolist(),
        settings={"encoder": {"checkpoint": str(encoder)}},
    )
    recorder = Recorder(folder, about)
    for index, activity in enumerate(clip.target.activity):
        row = ActivityRow(index, index, *clip.target.behavior[index].tolist())
        recorder.add_activity(row, activity)
    recorder.close()
    return recorder.path


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def means(result, table: str, name: str = "video_r") -> list[float]:
    return [row[name].mean for row in result.tables[table].values()]


def test_every_table_has_values(result):
    assert set(result.tables) == TABLES
    for table in result.tables.values():
        for name, row in table.items():
            # A still movie that is gray all over has no correlation.
            assert (row["video_r"].n_clips > 0) == (name != "mean frame")


def test_the_reconstruction_beats_the_null(result):
    live, null = result.tables["quality"]["live"], result.tables["quality"]["null"]
    assert live["video_r"].mean > 0.6 > 0.3 > abs(null["video_r"].mean)
    # Of three clips: by chance, the null's may be 0.1.
    assert live["held_out_r"].mean > 0.25 > 0.2 > abs(null["held_out_r"].mean)
    assert live["video_r"].n_clips == N_CLIPS
    assert live["structural_similarity"].mean > 0.2
    assert abs(live["peak_delay_ms"].mean) < 40


def test_the_movie_is_compared_with_its_baselines_on_the_same_frames(result):
    quality = result.tables["quality"]
    assert list(quality) == ["live", "null", "mean frame", "ridge"]
    assert {row["rmse"].n_clips for row in quality.values()} == {N_CLIPS}
    r = {name: row["visual_field_r"] for name, row in quality.items()}
    assert r["live"].mean > max(r["null"].mean, r["ridge"].mean) + 0.1
    # The prior of these movies is gray on average: its mean frame shows nothing.
    assert r["mean frame"].mean is None
    assert "do not vary" in r["mean frame"].missing_reason
    assert quality["mean frame"]["rmse"].mean > quality["live"]["rmse"].mean
    for name in (
        "gabor_correlation",
        "identification",
        "low_spatial_correlation",
        "response_correlation",
    ):
        assert quality["live"][name].mean > quality["null"][name].mean, name
    assert all(row in result.summarize() for row in list(quality)[1:])


def test_scores_inside_the_mask_are_reported(result):
    settled = slice(30, None)
    left = np.s_[settled, :, :32]
    best = max(clip["video_r"] for clip in result.clips)
    (known,) = (clip for clip in result.clips if clip["video_r"] == best)
    r = video_correlation(result.best.movie[left], result.best.clip.stimulus[left])
    assert known["video_r_in_mask"] == pytest.approx(r, abs=1e-4)
    assert known["frame_r_in_mask"] != known["frame_r"]


def test_more_neurons_steps_and_lag_improve_the_scores(result):
    for table in ("neurons", "steps", "lag"):
        r = means(result, table)
        assert r[0] < r[-1], table
    assert means(result, "neurons") == sorted(means(result, "neurons"))


def test_the_last_point_of_each_curve_is_the_unchanged_reconstruction(result):
    live = result.tables["quality"]["live"]["video_r"]
    for table in ("neurons", "steps", "lag"):
        assert list(result.tables[table].values())[-1]["video_r"] == live


def test_scrambled_frames_recover_only_what_stood_still(result):
    within, between = (
        result.tables["controls"][f"frames scrambled {where} clips"]["video_r"].mean
        for where in ("within", "between")
    )
    assert result.tables["quality"]["live"]["video_r"].mean > within > 0.3
    assert abs(between) < 0.2


def test_a_wrong_encoder_makes_the_ensemble_worse(result):
    alone, together = means(result, "encoders")
    assert together < alone


def test_behavior_states_score_only_their_own_frames(result):
    behavior = result.tables["behavior"]
    assert behavior["running"]["video_r"].n_clips == N_CLIPS - 1
    assert behavior["still"]["video_r"].n_clips == 1
    assert behavior["pupil large"]["video_r"].n_clips == N_CLIPS


def test_the_json_file_holds_the_result(result, evaluation_request):
    document = read_json(evaluation_request.output_folder / "evaluation.json")
    assert document == json.loads(result.to_json())
    assert document["clips_judged"] == len(document["clips"]) == N_CLIPS
    assert np.shape(document["identifiability"]["map"]) == (36, 64)
    page = QImage(str(evaluation_request.output_folder / "evaluation.png"))
    assert page.height() > page.width() > 1000


def test_the_terminal_table_fits_80_columns(result):
    console = Console(width=80, file=io.StringIO())
    console.print(make_terminal_table(result))
    printed = console.file.getvalue()
    assert "…" not in printed
    first_table = next(iter(result.tables.values()))
    whole = next(iter(first_table.values()))["video_r"]
    assert f"{whole.mean:.2f} ± {whole.sd:.2f}" in printed


def test_the_html_page_needs_no_other_file(result, evaluation_request):
    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            sources.extend(v for k, v in attrs if k in ("src", "href"))

    tags: list[str] = []
    sources: list[str] = []
    Links().feed(
        (evaluation_request.output_folder / "evaluation.html").read_text(
            encoding="utf-8"
        )
    )
    assert not {"script", "link", "iframe"} & set(tags)
    assert len(sources) == 3  # the page, the best and the worst clip
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_an_interrupted_evaluation_resumes_to_the_same_result(
    result, evaluation_request, tmp_path
):
    request = replace(
        evaluation_request,
        output_folder=tmp_path,
        encoders=evaluation_request.encoders[:1],
        with_controls=False,
        max_clips=1,
    )

    def interrupt(_stage: str, _fraction: float, detail: str) -> None:
        if detail.startswith("50.0% of the neurons"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_session(request, interrupt)
    partial = read_json(tmp_path / "evaluation-partial.json")
    assert not partial["complete"]
    assert set(partial["tables"]) == {"quality", "lag", "behavior"}
    with pytest.raises(UserError, match="continue it with --resume"):
        evaluate_session(request)

    replayed: list[str] = []
    resumed = evaluate_session(
        replace(request, resume=True),
        lambda _stage, _fraction, detail: replayed.append(detail.partition(",")[0]),
    )
    assert replayed[0] == "50.0% of the neurons"
    assert "null" not in replayed
    assert resumed.clips == result.clips[:1]  # a clip's scores need no other clip
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"evaluation.{kind}" for kind in ("json", "png", "html")}


def test_only_the_requested_part_of_a_session_is_evaluated(session, encoders, tmp_path):
    request = EvaluationRequest(
        session, tmp_path, encoders[:1], clip_frames=CLIP_FRAMES, start_s=2.5
    )
    clips = load_clips(request, ignore_progress).clips
    first_frames = [clip.name[-6:] for clip in clips]
    assert first_frames == [f"{75 + k * CLIP_FRAMES:06d}" for k in range(N_CLIPS - 1)]
    short = replace(request, seconds=CLIP_FRAMES / 30)
    assert len(load_clips(short, ignore_progress).clips) == 1
    with pytest.raises(UserError, match="no segment that starts at 99 s"):
        load_clips(replace(request, start_s=99.0), ignore_progress)


def test_a_session_without_stimulus_is_evaluated_with_its_own_encoder(
    clip, encoders, tmp_path
):
    result = evaluate_session(
        EvaluationRequest(
            session=record_without_stimulus(clip, tmp_path, encoders[0]),
            output_folder=tmp_path,
            with_controls=False,
            clip_frames=CLIP_FRAMES,
            max_clips=1,
        )
    )
    assert list(result.about["encoders"]) == [str(encoders[0])]
    live = result.tables["quality"]["live"]
    assert live["video_r"].mean is None
    assert "stimulus is not known" in live["video_r"].missing_reason
    assert live["held_out_r"].mean > 0.2
    assert "held-out" in result.summarize()
    assert any("stimulus is not known" in note for note in result.notes)
    assert "1 of 3 clips" in result.notes[0]
    assert "no mask" in live["video_r_in_mask"].missing_reason


def test_damage_in_a_session_is_a_note(session, encoders, tmp_path):
    damaged = Path(shutil.copytree(session, tmp_path / session.name))
    chunk = damaged / ARRAYS_FOLDER / "activity" / "values" / "c.1.0"
    chunk.write_bytes(b"")
    request = EvaluationRequest(damaged, tmp_path, encoders[:1])
    loaded = load_clips(replace(request, clip_frames=CLIP_FRAMES), ignore_progress)
    assert loaded.notes[0].startswith("activity: values of 0.8 s (24 of 235 rows)")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_request_is_refused_with_a_sentence(
    mistake, evaluation_request, tmp_path
):
    change, words = MISTAKES[mistake]
    with pytest.raises(UserError, match=words):
        evaluate_session(change(replace(evaluation_request, output_folder=tmp_path)))


def test_an_encoder_of_other_neurons_is_refused(session, tmp_path):
    other = world.make_checkpoint(50)
    path = tmp_path / "other.safetensors"
    world.save_checkpoint(replace(other, card=replace(other.card, path=path)))
    with pytest.raises(UserError, match="neurons"):
        evaluate_session(
            EvaluationRequest(session, tmp_path, [path], clip_frames=CLIP_FRAMES)
        )
