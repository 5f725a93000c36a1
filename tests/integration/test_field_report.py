"""`rtrecon field` and `rtrecon rois`: pictures of the field, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from rtrecon import config
from rtrecon.config import RegisterSettings, Settings
from rtrecon.imaging.reference import Known, find_reference
from rtrecon.rois.readers.any_file import load_rois
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import reference_file, save_reference
from rtrecon.testing import scanimage_file
from rtrecon.testing.daemon_process import rtrecon
from rtrecon.testing.small_field import field
from tests.support.session_tables import about

SHAPE = (256, 256)
SETTINGS = Settings(register_=RegisterSettings(template_frames=20))


def session_on(folder: Path, known: Known) -> Path:
    """A recorded session whose neurons were drawn on what is known."""
    settings = json.loads(config.dump(SETTINGS))
    recorder = Recorder(folder, about(settings=settings))
    recorder.close()
    rng = np.random.default_rng(2)
    frames = [field(SHAPE).frame(2.0, rng, (8.0, 5.0)) for _ in range(20)]
    reference = find_reference(frames, known, SETTINGS)
    save_reference(reference_file(recorder.path, 0), reference, known)
    return recorder.path


def test_the_fields_picture_is_drawn_beside_the_session(tmp_path):
    world = field(SHAPE)
    yesterday = world.template(2.0, np.random.default_rng(1))
    path = session_on(tmp_path, Known(world.rois(), yesterday))
    done = rtrecon("field", path)
    assert done.returncode == 0, done.stderr
    assert "go: " in done.stdout
    assert imread(path / "field_plane0.png").shape[1] > 800
    told = json.loads((path / "field_plane0.json").read_text())
    assert told["go"] is True


MISTAKES = {
    "no session": (lambda folder: folder, "is not a recording"),
    "no other day": (
        lambda folder: session_on(folder, Known(field(SHAPE).rois(), None)),
        "there is no other day to compare it with",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_a_sentence(tmp_path, case):
    folder, said = MISTAKES[case]
    done = rtrecon("field", folder(tmp_path))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_neurons_are_found_written_and_drawn(tmp_path):
    rng, world = np.random.default_rng(0), field((128, 128))
    flashes = 2.0 * (rng.random((120, world.n_cells)) < 0.1)
    frames = [world.frame(5.0, rng, activity=flash) for flash in flashes]
    scanimage_file.write_scanimage(tmp_path / "rec.tif", np.array(frames))
    out = tmp_path / "found.json"
    done = rtrecon("rois", tmp_path / "rec.tif", "--out", out, "--diameter-px", 9)
    assert done.returncode == 0, done.stderr
    assert len(load_rois(out, (128, 128))) >= world.n_cells / 2
    assert imread(tmp_path / "found.png").shape[0] > 300
    assert f"written to {out}" in done.stdout


def test_what_is_no_recording_is_a_sentence(tmp_path):
    (tmp_path / "rec.tif").write_text("frames, honestly")
    done = rtrecon("rois", tmp_path / "rec.tif", "--out", tmp_path / "found.json")
    assert done.returncode == 2
    assert "rec.tif" in done.stderr
    assert "Traceback" not in done.stderr
