"""`rtrecon field` and `rtrecon rois`: pictures of the field, from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from rtrecon import config
from rtrecon.config import RegistrationSettings, Settings
from rtrecon.imaging.field_match.comparison import compare_fields
from rtrecon.imaging.field_match.picture import draw_report
from rtrecon.imaging.reference import StoredField, build_reference
from rtrecon.rois.readers.registry import load_rois
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import get_reference_path, save_reference
from rtrecon.testing import scanimage_file
from rtrecon.testing.synthetic_field import make_field
from tests.support.command_line import run_here
from tests.support.session_tables import make_about

SHAPE = (256, 256)
SETTINGS = Settings(registration=RegistrationSettings(template_frames=20))


def session_on(folder: Path, known: StoredField) -> Path:
    """A recorded session whose neurons were drawn on what is known."""
    settings = json.loads(config.dump(SETTINGS))
    recorder = Recorder(folder, make_about(settings=settings))
    recorder.close()
    rng = np.random.default_rng(2)
    frames = [make_field(SHAPE).render_frame(2.0, rng, (8.0, 5.0)) for _ in range(20)]
    reference = build_reference(frames, known, SETTINGS)
    save_reference(get_reference_path(recorder.path, 0), reference, known)
    return recorder.path


def test_the_picture_of_the_field_is_saved_in_the_session_folder(tmp_path):
    world = make_field(SHAPE)
    yesterday = world.render_template(2.0, np.random.default_rng(1))
    path = session_on(tmp_path, StoredField(world.make_rois(), yesterday))
    done = run_here("field", path)
    assert done.returncode == 0, done.stderr
    assert "go: " in done.stdout
    assert imread(path / "field_plane0.png").shape[1] > 800
    saved = json.loads((path / "field_plane0.json").read_text())
    assert saved["go"] is True


def test_pictures_of_a_go_and_of_a_no_go_differ(tmp_path):
    world, rng = make_field(SHAPE), np.random.default_rng(1)
    today, stored = (world.render_template(2.0, rng) for _ in range(2))
    limits = SETTINGS.field_match
    report = compare_fields(today, stored, world.make_rois(), limits)
    assert report.is_go
    lost = replace(report.match, correlation=0.0)
    draw_report(report, tmp_path / "go.png")
    draw_report(replace(report, match=lost, is_go=False), tmp_path / "no-go.png")
    drawn = [(tmp_path / name).read_bytes() for name in ("go.png", "no-go.png")]
    assert all(picture.startswith(b"\x89PNG") for picture in drawn)
    assert drawn[0] != drawn[1]


MISTAKES = {
    "no session": (lambda folder: folder, "is not a recorded session"),
    "no other day": (
        lambda folder: session_on(
            folder, StoredField(make_field(SHAPE).make_rois(), None)
        ),
        "there is no other day to compare it with",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_wrong_folder_gives_an_error_sentence(tmp_path, case):
    folder, message = MISTAKES[case]
    done = run_here("field", folder(tmp_path))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_neurons_are_detected_saved_and_drawn(tmp_path):
    rng, world = np.random.default_rng(0), make_field((128, 128))
    flashes = 2.0 * (rng.random((120, world.n_cells)) < 0.1)
    frames = [world.render_frame(5.0, rng, activity=flash) for flash in flashes]
    scanimage_file.write_scanimage(tmp_path / "rec.tif", np.array(frames))
    out = tmp_path / "found.json"
    done = run_here("rois", tmp_path / "rec.tif", "--out", out, "--diameter-px", 9)
    assert done.returncode == 0, done.stderr
    assert len(load_rois(out, (128, 128))) >= world.n_cells / 2
    assert imread(tmp_path / "found.png").shape[0] > 300
    assert f"written to {out}" in done.stdout


def test_a_file_that_is_not_a_recording_gives_an_error_sentence(tmp_path):
    (tmp_path / "rec.tif").write_text("frames, honestly")
    done = run_here("rois", tmp_path / "rec.tif", "--out", tmp_path / "found.json")
    assert done.returncode == 2
    assert "rec.tif" in done.stderr
    assert "Traceback" not in done.stderr
