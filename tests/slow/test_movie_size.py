"""A movie of another size and rate: from a recording to an encoder, and live again."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO

from rtrecon.analysis.report import write_report
from rtrecon.cli.training import train
from rtrecon.config import EncoderSettings, RoiSettings, Settings, TimingSettings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ignore_progress
from rtrecon.daemon.field_neurons import read_neuron_source
from rtrecon.display.playback import Playback
from rtrecon.display.saving import make_clip
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.export.nwb_export import ExportRequest, export_nwb
from rtrecon.inversion.offline.clips import cut_session
from rtrecon.inversion.offline.encoder_files import open_checkpoint
from rtrecon.inversion.offline.jobs import ReconstructionJob, run_job
from rtrecon.protocol import messages
from rtrecon.session.api import open_session
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow
from rtrecon.sources.stimulus_file import write_stimulus_file
from rtrecon.sources.video import read_clip
from rtrecon.stimulus_space.fit_frame import resize_stimulus
from rtrecon.stimulus_space.video import make_video_space
from rtrecon.training import MovieRequest, TrainingOptions, train_on_session
from rtrecon.training.compact.fit import TrainingRecipe
from tests.support.fit_world import use_small_gabor_bank
from tests.support.live_spikes import open_sender, start_daemon, stream
from tests.support.quick_calibration import calibrate_quickly
from tests.support.session_tables import make_about

RECORDED = make_video_space((24, 40), 30.0)
TRAINED = make_video_space((18, 30), 15.0)
REQUEST = MovieRequest(TRAINED.shape, TRAINED.rate_hz)
IDS = list(range(1, 21))
N_FRAMES, N_LIVE = 2400, 110


def make_movie(n_frames: int, shape: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n_frames // 6 + 1, 6, 10)).astype(np.uint8)
    large = np.stack([resize_stimulus(each, shape) for each in coarse])
    return large.repeat(6, 0)[:n_frames]


def respond(movie: np.ndarray) -> np.ndarray:
    """Each neuron follows the brightness of one spot, two frames later."""
    small = np.stack([resize_stimulus(each, (6, 10)) for each in movie])
    spots = small.reshape(len(movie), -1)[:, : 3 * len(IDS) : 3].astype(float)
    rate = np.maximum(0, np.roll(spots, 1, 0) - 90) / 60
    return np.random.default_rng(9).poisson(rate).astype(np.float32)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    about = make_about(
        neuron_ids=IDS,
        roi_ids=IDS,
        rate_unit="spikes per bin",
        rate_hz=RECORDED.rate_hz,
        encoder_rate_hz=RECORDED.rate_hz,
        stimulus_space=RECORDED,
    )
    recorder = Recorder(tmp_path_factory.mktemp("recorded"), about)
    movie = make_movie(N_FRAMES, RECORDED.shape, 0)
    counts = respond(movie)
    for index in range(N_FRAMES):
        while recorder.is_behind:
            time.sleep(0.01)
        recorder.add_activity(ActivityRow(index, index), counts[index])
        recorder.add_stimulus(index, movie[index], "spots")
    recorder.close()
    assert (recorder.failure, recorder.n_lost) == (None, 0)
    return recorder.path


@pytest.fixture(scope="module")
def path(session, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("encoder") / "small.safetensors"
    with calibrate_quickly(), use_small_gabor_bank():
        train_on_session(
            session, TrainingRecipe(10, 100), file, ignore_progress, movie=REQUEST
        )
    return file


@pytest.fixture(scope="module")
def live(path, tmp_path_factory):
    """A daemon that has inverted four seconds, and its recording."""
    movie = make_movie(N_LIVE, (72, 120), 3)
    with (
        start_daemon(tmp_path_factory.mktemp("live"), path) as daemon,
        open_sender(daemon, path) as sender,
    ):
        stream(daemon, sender, (movie, respond(movie)), "video")
        sender.send_end("complete")
        daemon.call("stop")
        daemon.process.wait()
        daemon.receive()
    [recording] = daemon.recordings(sender.session)
    return daemon, recording, movie


def test_the_checkpoint_has_the_size_and_rate_that_were_asked_for(path):
    checkpoint = load_checkpoint(path)
    assert checkpoint.space == TRAINED
    assert checkpoint.card.metadata["rate_hz"] == TRAINED.rate_hz
    assert checkpoint.calibration.identifiability.shape == TRAINED.shape
    assert (TRAINED.window_frames, TRAINED.hop_frames) == (14, 2)


def test_the_encoder_predicts_the_neurons_that_it_was_trained_on(path):
    assert load_checkpoint(path).card.metadata["validation_r"] > 0.3


def test_live_movies_have_the_size_of_the_encoder(live):
    daemon, recording, movie = live
    received = [
        (message, payload)
        for message, payload in daemon.received
        if isinstance(message, messages.Movie)
    ]
    playback = Playback()
    for message, payload in received:
        assert message.stimulus_space == TRAINED
        playback.add_movie(message, payload, 0.0)
    moment = playback.moment_now(0.0, 0)
    assert moment.reconstruction.shape == TRAINED.shape
    assert playback.span.rate_hz == TRAINED.rate_hz
    shown = recording.stimulus.read_values()
    expected = [resize_stimulus(image, TRAINED.shape) for image in movie]
    np.testing.assert_array_equal(shown, expected)
    clip = make_clip([(moment.reconstruction, shown[0])])
    assert clip.shape[:2] == (1, TRAINED.shape[0])


def test_the_recording_is_reported_exported_and_opened(live, tmp_path):
    recording = live[1]
    write_report(recording.path, tmp_path / "report.html")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<video" in report
    export_nwb(ExportRequest(recording.path, tmp_path / "s.nwb"))
    with NWBHDF5IO(str(tmp_path / "s.nwb"), "r") as io:
        assert io.read().stimulus["stimulus"].data.shape[:0:-1] == TRAINED.shape
    assert open_session(recording.path).stimulus.to_numpy().shape[1:] == TRAINED.shape


def test_a_clip_is_written_and_read_at_the_size_and_rate(tmp_path):
    movie = make_movie(15, TRAINED.shape, 4)
    write_stimulus_file(tmp_path / "clip.mp4", movie, TRAINED)
    assert read_clip(tmp_path / "clip.mp4", TRAINED.shape, 15.0).shape == movie.shape


def test_another_size_is_refused_offline(session, path):
    with pytest.raises(UserError, match=r"24 y x 40 x.*trained on video \(18 y x 30 x"):
        open_checkpoint(path, cut_session(session)[0].load())


def test_the_published_method_is_for_the_usual_size(session, path, tmp_path):
    job = ReconstructionJob(
        cut_session(session)[0], "published", 1, path, tmp_path / "r.safetensors"
    )
    with pytest.raises(
        UserError, match=r"for movies of 36 x 64 px, but .* video \(24 y"
    ):
        run_job(job)


def test_forms_for_the_usual_size_are_refused_for_another(session, tmp_path):
    arguments = session, TrainingRecipe(1, 200), tmp_path / "e.st", ignore_progress
    options = TrainingOptions(encoder_form="convolutional")
    with pytest.raises(UserError, match="has 18 x 30 px, but convolutional encoders"):
        train_on_session(*arguments, options, REQUEST)


def test_the_daemon_requires_the_rate_of_the_encoder(path):
    settings = Settings(encoder=EncoderSettings(checkpoint=str(path)))
    with pytest.raises(UserError, match=r"video at 15 Hz; set timing.encoder_rate_hz"):
        read_neuron_source(settings)


def test_without_an_encoder_the_settings_give_the_size():
    settings = Settings(
        encoder=EncoderSettings(stimulus_size=(54, 96)),
        rois=RoiSettings(unit_rates=True),
        timing=TimingSettings(encoder_rate_hz=60.0),
    )
    assert read_neuron_source(settings).space == make_video_space((54, 96), 60.0)
    sound = EncoderSettings(stimulus="sound", stimulus_size=(54, 96))
    with pytest.raises(UserError, match="stimulus_size is for movies"):
        read_neuron_source(settings.model_copy(update={"encoder": sound}))


def test_size_and_rate_are_for_recorded_sessions(tmp_path):
    with pytest.raises(UserError, match="are for a recorded session"):
        train(tmp_path / "e.safetensors", size="54x96")
