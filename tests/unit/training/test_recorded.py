"""Training from our own recordings: frames whose stimulus and activity are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from rtrecon import config
from rtrecon.config import EncoderSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.daemon.field_neurons import read_neurons
from rtrecon.encoder.card import RATE_UNITS
from rtrecon.encoder.checkpoint import load
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.spectrum import spectrum
from rtrecon.imaging.reference import Known, Reference
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.protocol import messages
from rtrecon.rois import roi_set
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import reference_file, save_reference
from rtrecon.session.tables import ActivityRow
from rtrecon.training import train_recorded
from rtrecon.training.compact.fit import Recipe
from rtrecon.training.recorded import read_material
from rtrecon.training.split import SETTLE_FRAMES
from tests.support.session_tables import about

IDS = [7, 3, 12]
N_FRAMES = 1000
FIELD = (40, 50)
UNKNOWN = range(600, 640)  # frames whose stimulus did not arrive
LOST = range(400, 420)  # frames without activity
BLINK = slice(500, 518)  # frames at which the pupil was not seen
SETTINGS = Settings()


def movie(n_frames):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (n_frames // 5 + 1, 9, 16)).repeat(5, 0)[:n_frames]
    return coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8)


def values(n_frames):
    rng = np.random.default_rng(1)
    activity = rng.gamma(0.5, 2, (n_frames, len(IDS))).astype(np.float32)
    activity[[t for t in LOST if t < n_frames]] = np.nan
    return activity


def behavior(n_frames):
    """What the mouse did (n, 4); nobody measured how it ran."""
    t = np.arange(n_frames)
    did = np.stack([40 + t % 9, np.full(n_frames, np.nan), 150 + t % 7, 90 - t % 5], 1)
    did[BLINK, [0, 2, 3]] = np.nan
    return did


def pixels(place):
    rows, cols = np.mgrid[5:9, 10 * place + 2 : 10 * place + 6].reshape(2, -1)
    return rows, cols, np.ones(len(rows))


def masks():
    return roi_set.from_pixels(np.array(IDS), FIELD, [pixels(i) for i in range(3)])


def recorded(folder, n_frames=N_FRAMES, with_stimulus=True, **changes):
    """Record a session as the daemon does; returns its folder."""
    known = {"settings": json.loads(config.dump(SETTINGS)), "neuron_ids": IDS}
    known |= {"roi_ids": IDS, **changes}
    recorder = Recorder(folder, about(**known))
    images, activity, did = movie(n_frames), values(n_frames), behavior(n_frames)
    for t in range(n_frames):
        recorder.activity(ActivityRow(t, t, *did[t].tolist()), activity[t])
        if with_stimulus and t not in UNKNOWN:
            recorder.stimulus(t, images[t])
    recorder.close()
    assert recorder.failure is None
    assert not recorder.lost
    template = np.random.default_rng(2).random(FIELD).astype(np.float32)
    reference = Reference(template, with_rings(masks(), SETTINGS.traces), template)
    save_reference(reference_file(recorder.path, 0), reference, Known(masks(), None))
    return recorder.path


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def material(session):
    return read_material(session)


def known_frames():
    settled = range(SETTLE_FRAMES, N_FRAMES)
    return np.array([t for t in settled if t not in UNKNOWN])


def test_frames_of_known_stimulus_are_learned_from(material):
    frames = known_frames()
    coef = torch.cat([material.training.coef, material.validation.coef])
    shown = spectrum().from_pixels(movie(N_FRAMES)[frames])
    torch.testing.assert_close(coef, shown)
    assert len(material.validation) == 300


def test_what_was_lost_or_has_no_past_is_not_judged(material):
    frames = known_frames()
    n_training = len(material.training)
    for data, own in (
        (material.training, frames[:n_training]),
        (material.validation, frames[n_training:]),
    ):
        remembered = own[:, None] - np.arange(MEMORY)
        expected = values(N_FRAMES)[own]
        expected[~np.isin(remembered, own).all(1)] = np.nan
        np.testing.assert_array_equal(data.activity, expected)


def test_behaviour_is_scaled_and_what_was_not_measured_is_its_mean(material):
    did = behavior(N_FRAMES)[known_frames()]
    did[:, 1] = 0
    training = did[: len(material.training)]
    mean, sd = np.nanmean(training, 0), np.nanstd(training, 0)
    sd[1] = 1
    np.testing.assert_allclose(material.behavior_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(material.behavior_sd, sd, rtol=1e-3)
    found = torch.cat([material.training.behavior, material.validation.behavior])
    np.testing.assert_allclose(found, np.nan_to_num((did - mean) / sd), atol=2e-3)
    assert material.measured.tolist() == [True, False, True, True]


def test_what_was_not_measured_is_told(material):
    blinks = "was not measured in 5.0% of the training frames; its mean over the others"
    expected = [
        f"pupil dilation {blinks}",
        "running speed was not measured; the encoder will not know what it does",
        f"pupil x {blinks}",
        f"pupil y {blinks}",
    ]
    for note, words in zip(material.notes, expected, strict=True):
        assert note.startswith(words)


def test_neurons_are_the_sessions_in_the_order_of_its_activity(material):
    found = material.neurons.rois
    assert found.ids.tolist() == IDS
    np.testing.assert_allclose(found.centers(), masks().centers())
    template = np.random.default_rng(2).random(FIELD).astype(np.float32)
    np.testing.assert_array_equal(material.neurons.mean_image, template[None])


def test_a_checkpoint_comes_of_it(session, tmp_path):
    torch.set_num_threads(1)
    out, told = tmp_path / "mine.safetensors", []
    train_recorded(session, Recipe(1, 300), out, lambda *word: told.append(word[2]))
    made = load(out)
    meta = made.card.meta
    assert meta["session"] == session.name
    assert meta["traces"] == SETTINGS.traces.model_dump(mode="json")
    assert any("running speed was not measured" in word for word in told)
    assert "running speed was not measured" in meta["notes"][1]
    assert made.model.gain.any(1).tolist() == [True, False, True, True]


@pytest.mark.parametrize("measured_in", [RATE_UNITS, "photons per bin"])
def test_a_session_of_rates_is_trained_on_without_masks(tmp_path, measured_in):
    session, out = recorded(tmp_path, rates_in=measured_in), tmp_path / "e.safetensors"
    reference_file(session, 0).unlink()
    train_recorded(session, Recipe(1, 300), out, lambda *word: None)
    card = load(out).card
    assert card.units == measured_in
    assert card.rois.ids.tolist() == IDS
    settings = Settings(encoder=EncoderSettings(checkpoint=str(out)))
    start = messages.Start(
        session="s",
        seq=0,
        source="rates",
        rate_hz=30.0,
        shape=(1, 3),
        dtype="float32",
        units=IDS,
        rates_in=measured_in,
    )
    assert read_neurons(settings).of(start).rois.ids.tolist() == IDS


# what is recorded -> words of the refusal
REFUSED = {
    "no stimulus": (
        {"with_stimulus": False, "n_frames": 400},
        "knows the stimulus of 0 frames, too few to train on",
    ),
    "too short": ({"n_frames": 550}, "knows the stimulus of 250 frames, too few"),
    "no neurons": (
        {"neuron_ids": [], "roi_ids": [], "n_frames": 0},
        "has no neurons; record one with masks",
    ),
    "another screen": (
        {"image_shape": (48, 64), "n_frames": 0},
        r"has a stimulus of \(48, 64\) px, but the encoder sees \(36, 64\)",
    ),
    "other masks": (
        {"neuron_ids": [7, 3, 99]},
        "has activity of neuron 99, but no mask of it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_on_is_refused(tmp_path, case):
    changes, words = REFUSED[case]
    path = recorded(tmp_path, **changes)
    with pytest.raises(UserError, match=words):
        read_material(path)


def test_a_folder_that_is_no_recording_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a recording"):
        read_material(tmp_path)


def test_a_session_without_its_reference_is_refused(tmp_path):
    path = recorded(tmp_path, n_frames=800)
    reference_file(path, 0).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_material(path)
