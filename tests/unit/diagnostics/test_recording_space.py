"""The check of the recording folder: how long the disk lasts, and what is too short."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from rtrecon.config import EncoderSettings, RecordingSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.daemon.field_neurons import NeuronSource, read_neuron_source
from rtrecon.diagnostics.recording_space import (
    check_recording_folder,
    estimate_bytes_per_s,
)

DEMO = Settings(encoder=EncoderSettings(checkpoint="demo"))
DiskUsage = namedtuple("DiskUsage", "total used free")


@pytest.fixture(scope="module")
def neurons() -> NeuronSource:
    return read_neuron_source(DEMO)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return change_recording(folder=tmp_path / "recordings")


@pytest.fixture
def leave_free(monkeypatch):
    """Set how many bytes the disk seems to have left."""

    def leave(n_bytes: float) -> None:
        usage = DiskUsage(10**12, 0, int(n_bytes))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    return leave


def change_recording(**changes: object) -> Settings:
    recording = RecordingSettings(**changes)
    return DEMO.model_copy(update={"recording": recording})


def test_the_estimate_is_what_the_tables_hold(neurons):
    traces_and_activity = 1000 * 4 * (3 + 1) * 30
    stimulus, movie = 36 * 64 * 30, 35 * 36 * 64 * 30 / 5
    spread = (35 / 5 + 1) * 36 * 64 * 30 / 5 / 3
    expected = traces_and_activity + stimulus + movie + spread
    assert estimate_bytes_per_s(DEMO, neurons) == pytest.approx(expected, rel=0.02)


def test_raw_images_and_no_movie_change_the_estimate(neurons):
    images = estimate_bytes_per_s(change_recording(raw_messages=True), neurons)
    usual = estimate_bytes_per_s(DEMO, neurons)
    assert images - usual == 512 * 512 * 2 * 30
    assert estimate_bytes_per_s(change_recording(movie=False), neurons) < usual


def test_the_sentence_gives_the_space_and_the_time(settings, neurons, leave_free):
    leave_free(100e9)
    sentence = check_recording_folder(settings, neurons)
    assert "can be written, 100.0 GB left, about 25 h" in sentence
    assert sentence.endswith("MB per second")
    assert settings.recording.folder.is_dir()
    assert not list(settings.recording.folder.iterdir())


def test_an_hour_of_space_is_a_warning(settings, neurons, leave_free):
    leave_free(3.7e9)
    assert "free some space" in check_recording_folder(settings, neurons)


def test_a_nearly_full_disk_fails_the_check(settings, neurons, leave_free):
    leave_free(40e6)
    with pytest.raises(UserError, match=r"has only 40\.0 MB left, about 37 s at 1\.1"):
        check_recording_folder(settings, neurons)


def test_a_folder_that_cannot_be_written_fails_the_check(neurons, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="cannot be written"):
        check_recording_folder(change_recording(folder=tmp_path / "file"), neurons)


def test_without_recording_no_space_is_needed(neurons, leave_free):
    leave_free(0)
    settings = change_recording(enabled=False)
    assert check_recording_folder(settings, neurons) == "recording: off"
