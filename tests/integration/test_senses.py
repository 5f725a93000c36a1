"""An encoder of touch learns from simulated spikes; its inversion beats chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtrecon.analysis.evaluation.replay_runner import ReplayRunner
from rtrecon.analysis.evaluation.sensory_rig import SensoryRig
from rtrecon.config import (
    EncoderSettings,
    RoiSettings,
    Settings,
    TimingSettings,
)
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ignore_progress
from rtrecon.daemon.field_neurons import read_neuron_source
from rtrecon.demo.sense import SenseDemoRequest, run_sense_demo
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.encoder_files import open_checkpoint
from rtrecon.inversion.offline.live_and_map import reconstruct_live
from rtrecon.protocol import messages
from rtrecon.simulate.senses import find_sense
from rtrecon.simulate.sensory_session import (
    SensoryOptions,
    simulate_sensory_session,
)
from rtrecon.stimulus_space.touch import TOUCH
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.training import SensoryTraining, TrainingOptions, train_on_sense
from rtrecon.training.compact.fit import TrainingRecipe
from tests.support.live_spikes import open_sender, start_daemon, stream

NEURONS = SensoryOptions("touch", 60)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("touch") / "touch.safetensors"
    train_on_sense(
        SensoryTraining(NEURONS, 0.6), TrainingRecipe(epochs=2), file, ignore_progress
    )
    return file


@pytest.fixture(scope="module")
def clip(path) -> Clip:
    rig = SensoryRig.for_encoder(load_checkpoint(path).card, 1)
    [clip] = rig.show_movie(rig.make_stimulus(600), 600, ignore_progress)
    return clip


def correlate(movie: np.ndarray, clip: Clip) -> float:
    frames = slice(100, 480)
    return float(
        np.corrcoef(movie[frames].ravel(), clip.stimulus[frames].ravel())[0, 1]
    )


def test_the_checkpoint_carries_the_space_and_the_neurons(path):
    checkpoint = load_checkpoint(path)
    assert checkpoint.space == TOUCH
    assert checkpoint.card.rois.ids.tolist() == NEURONS.neuron_ids.tolist()
    assert checkpoint.calibration.identifiability.shape == TOUCH.shape


def test_the_reconstruction_is_better_than_the_null(path, clip):
    checkpoint = load_checkpoint(path)
    runner = ReplayRunner.create(checkpoint, 1)
    assert runner.settings.window_frames == TOUCH.window_frames
    null = runner.exchange_neurons(clip.target)
    r, null_r = (
        correlate(reconstruct_live(checkpoint, target, 6, runner.settings).final, clip)
        for target in (clip.target, null)
    )
    assert r > null_r + 0.1


def test_an_encoder_of_another_space_is_refused(path, clip):
    movie = replace(clip, space=VIDEO)
    with pytest.raises(UserError, match=r"stimulus of video .* trained on touch"):
        open_checkpoint(path, movie)


# what is asked for -> part of the error
IMPOSSIBLE = {
    "form": ({"options": TrainingOptions(encoder_form="auto")}, "leave out .*-form"),
    "cutmix": (
        {"recipe": TrainingRecipe(cutmix_fraction=0.5)},
        "--cutmix is for pictures; leave it out for touch",
    ),
    "short": ({"plan": SensoryTraining(NEURONS, 0.1)}, "give 0.3 or more"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_training_that_cannot_succeed_is_refused_at_once(tmp_path, case):
    changes, words = IMPOSSIBLE[case]
    arguments = {
        "plan": SensoryTraining(NEURONS),
        "recipe": TrainingRecipe(),
        "path": tmp_path / "e.safetensors",
        "on_progress": ignore_progress,
    }
    with pytest.raises(UserError, match=words):
        train_on_sense(**(arguments | changes))


def test_the_daemon_takes_the_space_of_its_encoder(path):
    settings = Settings(encoder=EncoderSettings(checkpoint=str(path)))
    with pytest.raises(UserError, match=r"touch at 100 Hz; set timing.encoder_rate_hz"):
        read_neuron_source(settings)
    timing = TimingSettings(encoder_rate_hz=100.0)
    source = read_neuron_source(settings.model_copy(update={"timing": timing}))
    assert source.space == TOUCH
    assert source.has_unit_rates


def test_without_an_encoder_the_settings_say_what_the_stimulus_is():
    settings = Settings(
        encoder=EncoderSettings(stimulus="touch"),
        rois=RoiSettings(unit_rates=True),
        timing=TimingSettings(encoder_rate_hz=100.0),
    )
    assert read_neuron_source(settings).space == TOUCH


@pytest.fixture(scope="module")
def live(path, tmp_path_factory):
    """A daemon that has inverted two seconds of touch, and the stimulus's levels."""
    sense = find_sense("touch")
    levels = sense.make_stimulus(200, 5001)
    session = simulate_sensory_session(NEURONS.make_subject(), levels, 1)
    with (
        start_daemon(tmp_path_factory.mktemp("live"), path) as daemon,
        open_sender(daemon, path) as sender,
    ):
        stream(daemon, sender, (levels, session.counts), "touch")
        sender.send_stimulus(np.zeros((36, 64), np.uint8), "clouds", 0, 2.0)
        daemon.wait_until(lambda: "space 'video'" in daemon.output)
        wrong = np.zeros((24, 3), np.float32)
        sender.send_stimulus(wrong, "whiskers", 0, 2.0, "touch")
        sender.send_end("complete")
        daemon.call("stop")
        daemon.process.wait()
        daemon.receive()
    [recording] = daemon.recordings(sender.session)
    return daemon, recording, levels


def test_the_window_of_touch_is_published_with_its_space(live):
    daemon, _, _ = live
    movies = [
        (message, payload)
        for message, payload in daemon.received
        if isinstance(message, messages.Movie)
    ]
    for message, payload in movies:
        assert message.stimulus_space == TOUCH
        assert payload.shape[1:] == TOUCH.shape
    assert len(movies) >= 200 // TOUCH.hop_frames - 1


def test_a_live_session_of_touch_is_recorded_with_its_axes(live):
    _, recording, levels = live
    assert recording.about.stimulus_space == TOUCH
    np.testing.assert_array_equal(recording.stimulus.read_values(), levels)
    assert len(recording.movie)


def test_stimuli_of_another_space_or_size_are_refused_with_a_sentence(live):
    output = live[0].output
    assert (
        "a stimulus message is of the space 'video', but the encoder was trained on "
        "touch (24 whisker x 2 quantity); send that, or use an encoder of 'video'"
    ) in " ".join(output.split())


def test_the_demo_refuses_an_encoder_of_another_sense(path, tmp_path):
    request = SenseDemoRequest("sound", 5.0, True, tmp_path, encoder=str(path))
    with pytest.raises(UserError, match=r"trained on touch .*give one of sound"):
        run_sense_demo(request, print, lambda done, total: None)
