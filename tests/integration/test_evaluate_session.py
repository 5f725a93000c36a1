"""`rtrecon evaluate` on sessions whose neurons are the encoder's own.

Activity is drawn from the very encoder that inverts it, so that the reconstruction has
to be good, and each control has to be bad in the way that it is made to be.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtGui import QImage
from rich.console import Console

from rtrecon.analysis.evaluation import Plan, evaluate, evaluation_table
from rtrecon.core.errors import UserError
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import Target
from rtrecon.metrics.similarity import video_correlation
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow
from tests.support import inversion_world as world
from tests.support import session_tables

CLIP_FRAMES, N_CLIPS = 75, 3
TABLES = {"quality", "lag", "neurons", "steps", "behavior", "controls", "encoders"}
MISTAKES = {
    "no encoder": (lambda plan: replace(plan, encoders=[]), "no encoder"),
    "short clips": (lambda plan: replace(plan, clip_frames=3), "3 frames tell nothing"),
    "short session": (lambda plan: replace(plan, clip_frames=999), "longer session"),
    "no session": (lambda plan: replace(plan, session=Path("x")), "not a recording"),
    "no checkpoint": (lambda plan: replace(plan, encoders=[Path("x")]), "not exist"),
}


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Still at first, then running; the pupil wide in every other second."""
    made = world.clip(N_CLIPS * CLIP_FRAMES + 10)
    behavior = np.zeros((len(made.target), 2), np.float32)
    behavior[:, 0] = 30 + 5 * (np.arange(len(behavior)) // 30 % 2)
    behavior[CLIP_FRAMES:, 1] = 5
    return replace(made, target=Target(made.target.activity, behavior))


@pytest.fixture(scope="module")
def session(clip, tmp_path_factory) -> Path:
    return world.recorded(tmp_path_factory.mktemp("recordings"), clip)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> list[Path]:
    """The neurons' own, and one of other neurons under the same ids."""
    folder = tmp_path_factory.mktemp("encoders")
    return [world.saved(folder / f"{name}.safetensors", name) for name in (0, 5)]


@pytest.fixture(scope="module")
def plan(session, encoders, tmp_path_factory) -> Plan:
    out = tmp_path_factory.mktemp("out")
    mask = np.zeros((36, 64), np.float32)
    mask[:, :32] = 1.0
    np.save(out / "left.npy", mask)
    return Plan(session, out, encoders, out / "left.npy", clip_frames=CLIP_FRAMES)


@pytest.fixture(scope="module")
def found(plan):
    torch.set_num_threads(1)
    return evaluate(plan)


def without_stimulus(clip: Clip, folder: Path) -> Path:
    recorder = Recorder(folder, session_tables.about(neuron_ids=clip.ids.tolist()))
    for place, activity in enumerate(clip.target.activity):
        row = ActivityRow(place, place, *clip.target.behavior[place].tolist())
        recorder.activity(row, activity)
    recorder.close()
    return recorder.path


def means(found, table: str, name: str = "video_r") -> list[float]:
    return [row[name].mean for row in found.tables[table].values()]


def test_every_table_is_filled(found):
    assert set(found.tables) == TABLES
    for table in found.tables.values():
        for row in table.values():
            assert row["video_r"].clips > 0


def test_the_movie_is_found_and_the_null_is_not(found):
    live, null = found.tables["quality"]["live"], found.tables["quality"]["null"]
    assert live["video_r"].mean > 0.6 > 0.3 > abs(null["video_r"].mean)
    # Of three clips: by chance, the null's may be 0.1.
    assert live["held_out_r"].mean > 0.25 > 0.2 > abs(null["held_out_r"].mean)
    assert live["video_r"].clips == N_CLIPS
    assert live["ssim"].mean > 0.2
    assert abs(live["peak_delay_ms"].mean) < 40


def test_figures_are_also_of_the_pixels_in_the_mask(found):
    settled = slice(30, None)
    left = np.s_[settled, :, :32]
    best = max(clip["video_r"] for clip in found.clips)
    (known,) = (clip for clip in found.clips if clip["video_r"] == best)
    r = video_correlation(found.best.movie[left], found.best.clip.shown[left])
    assert known["video_r_in_mask"] == pytest.approx(r, abs=1e-4)
    assert known["frame_r_in_mask"] != known["frame_r"]


def test_more_neurons_and_steps_and_age_are_better(found):
    for table in ("neurons", "steps", "lag"):
        r = means(found, table)
        assert r[0] < r[-1], table
    assert means(found, "neurons") == sorted(means(found, "neurons"))


def test_the_last_of_each_curve_is_the_reconstruction_itself(found):
    live = found.tables["quality"]["live"]["video_r"]
    for table in ("neurons", "steps", "lag"):
        assert list(found.tables[table].values())[-1]["video_r"] == live


def test_scrambled_frames_tell_no_more_than_what_stood_still(found):
    within, between = (
        found.tables["controls"][f"frames scrambled {where} clips"]["video_r"].mean
        for where in ("within", "between")
    )
    assert found.tables["quality"]["live"]["video_r"].mean > within > 0.3
    assert abs(between) < 0.2


def test_an_encoder_of_other_neurons_makes_the_ensemble_worse(found):
    alone, together = means(found, "encoders")
    assert together < alone


def test_states_are_judged_where_the_mouse_was_in_them(found):
    behavior = found.tables["behavior"]
    assert behavior["running"]["video_r"].clips == N_CLIPS - 1
    assert behavior["still"]["video_r"].clips == 1
    assert behavior["pupil large"]["video_r"].clips == N_CLIPS


def test_what_is_written_is_what_was_found(found, plan):
    told = json.loads((plan.out / "evaluation.json").read_text(encoding="utf-8"))
    assert told == json.loads(found.as_json())
    assert told["clips_judged"] == len(told["clips"]) == N_CLIPS
    assert np.shape(told["identifiability"]["map"]) == (36, 64)
    page = QImage(str(plan.out / "evaluation.png"))
    assert page.height() > page.width() > 1000


def test_the_table_fits_a_terminal(found):
    console = Console(width=80, file=io.StringIO())
    console.print(evaluation_table(found))
    printed = console.file.getvalue()
    assert "…" not in printed
    first_table = next(iter(found.tables.values()))
    whole = next(iter(first_table.values()))["video_r"]
    assert f"{whole.mean:.2f} ± {whole.sd:.2f}" in printed


def test_the_web_page_needs_nothing_else(found, plan):
    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            sources.extend(v for k, v in attrs if k in ("src", "href"))

    tags: list[str] = []
    sources: list[str] = []
    Links().feed((plan.out / "evaluation.html").read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe"} & set(tags)
    assert len(sources) == 3  # the page, the best and the worst clip
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_the_same_plan_tells_the_same(found, plan, tmp_path):
    """One clip of it does, alone: clips know nothing of each other."""
    quick = replace(plan, out=tmp_path, controls=False, most_clips=1)
    again = evaluate(replace(quick, encoders=plan.encoders[:1]))
    assert again.clips == found.clips[:1]


def test_without_a_stimulus_it_says_so(clip, encoders, tmp_path):
    found = evaluate(
        Plan(
            session=without_stimulus(clip, tmp_path),
            out=tmp_path,
            encoders=encoders[:1],
            controls=False,
            clip_frames=CLIP_FRAMES,
            most_clips=1,
        )
    )
    live = found.tables["quality"]["live"]
    assert live["video_r"].mean is None
    assert "stimulus is not known" in live["video_r"].why
    assert live["held_out_r"].mean > 0.2
    assert "held-out" in found.sentence()
    assert any("stimulus is not known" in note for note in found.notes)
    assert "1 of 3 clips" in found.notes[0]
    assert "no mask" in live["video_r_in_mask"].why


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_answered_in_a_sentence(mistake, plan, tmp_path):
    change, words = MISTAKES[mistake]
    with pytest.raises(UserError, match=words):
        evaluate(change(replace(plan, out=tmp_path)))


def test_other_neurons_are_refused(session, tmp_path):
    other = world.checkpoint(50)
    path = tmp_path / "other.safetensors"
    world.save(replace(other, card=replace(other.card, path=path)))
    with pytest.raises(UserError, match="neurons"):
        evaluate(Plan(session, tmp_path, [path], clip_frames=CLIP_FRAMES))
