"""Which encoder `encoder.checkpoint = "session"` chooses."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from rtrecon import config
from rtrecon.config import (
    EncoderSettings,
    RecordingSettings,
    RoiSettings,
    Settings,
    SubjectSettings,
)
from rtrecon.daemon.session_encoder import choose_session_encoder
from rtrecon.encoder.checkpoint import save_checkpoint
from rtrecon.session.about import About
from rtrecon.session.session_files import ENCODER_FILE
from rtrecon.session.tables import ABOUT_FILE
from tests.support.trained_encoder import make_untrained_checkpoint

IDS, SHAPE = [3, 1, 2], (20, 30)


def make_settings(folder: Path, subject: str | None = "M1", **sections) -> Settings:
    return Settings(
        encoder=EncoderSettings(checkpoint="session"),
        recording=RecordingSettings(folder=folder),
        subject=SubjectSettings(subject_id=subject),
        **sections,
    )


def add_session(folder: Path, name: str, subject: str, *, has_encoder: bool) -> Path:
    """Make a recorded session with or without an encoder; return the encoder's path."""
    path = folder / name
    path.mkdir()
    settings = json.loads(config.dump(make_settings(folder, subject)))
    about = About(
        session=name,
        roi_ids=IDS,
        neuron_ids=IDS,
        settings=settings,
        started="2026-01-01T00:00:00+00:00",
    )
    (path / ABOUT_FILE).write_bytes(msgspec.json.encode(about))
    if has_encoder:
        save_checkpoint(make_untrained_checkpoint(path / ENCODER_FILE, IDS, SHAPE))
    return (path / ENCODER_FILE).resolve()


def test_the_newest_encoder_of_the_same_subject_is_chosen(tmp_path):
    add_session(tmp_path, "1", "M1", has_encoder=True)
    expected = add_session(tmp_path, "2", "M1", has_encoder=True)
    add_session(tmp_path, "3", "M2", has_encoder=True)
    add_session(tmp_path, "4", "M1", has_encoder=False)
    chosen, notice = choose_session_encoder(make_settings(tmp_path))
    assert chosen.encoder.checkpoint == expected
    assert "the encoder of 2" in notice


def test_without_an_encoder_the_session_is_a_calibration(tmp_path):
    add_session(tmp_path, "1", "M1", has_encoder=False)
    chosen, notice = choose_session_encoder(make_settings(tmp_path))
    assert chosen.encoder.checkpoint is None
    assert "an encoder is trained in this session" in notice


def test_an_encoder_of_other_neurons_is_not_used(tmp_path):
    add_session(tmp_path, "1", "M1", has_encoder=True)
    masks = tmp_path / "regions.json"
    regions = [{"coordinates": [[1, 1], [1, 2], [2, 1]]}]  # one neuron in place of 3
    masks.write_text(json.dumps(regions))
    settings = make_settings(tmp_path, rois=RoiSettings(path=masks))
    chosen, notice = choose_session_encoder(settings)
    assert chosen.encoder.checkpoint is None
    assert "was trained on 3 neurons, but there are 1 masks" in notice


@pytest.mark.parametrize("checkpoint", [None, "demo"])
def test_other_settings_are_returned_as_they_are(tmp_path, checkpoint):
    settings = Settings(encoder=EncoderSettings(checkpoint=checkpoint))
    assert choose_session_encoder(settings) == (settings, "")
