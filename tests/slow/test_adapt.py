"""A published encoder is adapted to a recording and used like any checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.cli import training as commands
from rtrecon.cli.reconstruction import reconstruct
from rtrecon.config import InversionSettings
from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.layout import RESPONSE_UNITS
from rtrecon.encoder.card import CheckpointError, read_card
from rtrecon.encoder.checkpoint import load_checkpoint, save_checkpoint
from rtrecon.encoder.dwiseneuro.convert import convert_author_files
from rtrecon.encoder.dwiseneuro.inference import load_dwiseneuro
from rtrecon.inversion.live.backlog import QueuedActivity
from rtrecon.inversion.live.inversion_pair import InversionPair
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.encoder_files import open_encoder
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.protocol import messages
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow
from rtrecon.training import adapt
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.train import TrainingOptions, validate_training
from tests.support import dwiseneuro_live_world as world
from tests.support import inversion_world
from tests.support.dwiseneuro_live_world import MEAN_BEHAVIOR, N_NEURONS, PAST
from tests.support.quick_calibration import calibrate_quickly
from tests.support.session_tables import make_about

FRAMES, STRIDE_FRAMES = 90, 32
IDS = (100 + np.arange(N_NEURONS)).tolist()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def ignore_progress(*_):
    """Ignore progress."""


@pytest.fixture(scope="module", autouse=True)
def _quickly():
    """No test here checks the result of the calibration."""
    with calibrate_quickly():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return world.write_sensorium_folder(tmp_path_factory.mktemp("sensorium") / "mouse")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return world.save_network(tmp_path_factory.mktemp("published") / "model.pth")


@pytest.fixture(scope="module")
def checkpoint(published, folder):
    """Written by the command itself."""
    out = published.with_name("adapted.safetensors")
    commands.adapt(
        [published], out, sensorium=folder, frames=FRAMES, stride_frames=STRIDE_FRAMES
    )
    return out


def clip(n_frames: int = 35) -> Clip:
    """Something to reconstruct, as it was recorded."""
    shown = world.LOW.to_pixels(world.make_movie(PAST + n_frames))[PAST:]
    described = world.unstandardize_behavior(
        world.make_behavior(PAST + n_frames)[PAST:]
    )
    activity = world.make_activity(PAST + n_frames)
    target = InversionTarget(activity.numpy(), described.numpy())
    return Clip("clip", target, shown, np.array(IDS))


# -- what is written ---------------------------------------------------------------


def test_adapting_fits_prior_and_calibration_and_not_the_network(checkpoint, published):
    found = load_checkpoint(checkpoint)
    np.testing.assert_array_equal(found.card.rois.ids, IDS)
    meta = found.card.metadata
    assert meta["validation_r"] > 0.3
    assert (meta["units"], meta["sensorium"]) == (RESPONSE_UNITS, "mouse")
    assert meta["external_weights"]["files"][0]["name"] == published.name
    usual = meta["external_weights"]["behavior_mean"]
    assert usual == pytest.approx(MEAN_BEHAVIOR, abs=1)
    assert usual == found.calibration.behavior_mean.tolist()
    # Around what is predicted counts vary less than around their mean.
    counted = world.make_activity(PAST + 90)
    around_mean = counted.var(0) / counted.mean(0)
    assert (found.calibration.dispersion / around_mean).median() < 0.5
    fitted, own = found.prior.variance.sqrt(), world.make_prior().variance.sqrt()
    assert fitted[0] == pytest.approx(float(own[0]), rel=0.3)
    asked = world.make_movie(PAST + 8), world.make_behavior(PAST + 8)
    scaled = (
        world.unstandardize_behavior(asked[1]) - found.calibration.behavior_mean
    ) / (found.calibration.behavior_sd)
    answer = (
        found.encoder.predict(asked[0], scaled) - found.encoder.state_dict()["baseline"]
    )
    expected = world.make_live_encoder(STRIDE_FRAMES).predict(*asked) - 0.01
    torch.testing.assert_close(answer, expected, rtol=0.01, atol=0.05)
    assert 0 < found.encoder.lag_weights()[0, 0] < 1
    assert checkpoint.stat().st_size < 200_000, "no weights lie in it"


def test_no_recorded_behavior_is_clipped(checkpoint, folder):
    """What the mouse did once is not held at four usual s.d."""
    calibration = load_checkpoint(checkpoint).calibration
    read = SensoriumFolder(folder)
    did = np.concatenate([read.read_trial(i).behavior for i in range(len(read.tiers))])
    described = calibration.standardize_behavior(torch.from_numpy(did))
    back = calibration.behavior_mean + calibration.behavior_sd * described
    train = np.abs(back.numpy() - did).max(0)
    assert (train < 0.5 * did.std(0)).all()


def test_saving_again_does_not_change_the_checkpoint(checkpoint, tmp_path):
    found = load_checkpoint(checkpoint)
    again = tmp_path / "again.safetensors"
    save_checkpoint(replace(found, card=replace(found.card, path=again)))
    for key, value in found.encoder.state_dict().items():
        assert torch.equal(load_checkpoint(again).encoder.state_dict()[key], value), key


def test_an_ensemble_can_be_adapted(
    checkpoint, published, folder, tmp_path, monkeypatch
):
    known = load_checkpoint(checkpoint).calibration
    monkeypatch.setattr(adapt, "calibrate_inversion", lambda *_: known)
    other = world.save_network(tmp_path / "other.pth", seed=1)
    plan = adapt.AdaptRequest(
        [published, other], tmp_path / "both.safetensors", max_frames=90
    )
    made = adapt.adapt_to_sensorium(plan, folder, ignore_progress)
    assert len(made.card.metadata["external_weights"]["files"]) == 2
    asked = clip().target
    rates = open_encoder(plan.out, clip()).predict_rates(
        torch.from_numpy(clip().stimulus), asked.behavior_tensor()
    )
    mean = load_dwiseneuro([published, other]).predict_rates(
        torch.from_numpy(clip().stimulus), asked.behavior_tensor()
    )
    torch.testing.assert_close(rates, mean, rtol=1e-3, atol=1e-2)


def recorded(path, gain, n_frames=700, with_center=True):
    """A session of rates in other units than those of the encoder.

    with_center: whether somebody looked where the pupil was.
    """
    given = clip(n_frames)
    ids = {"neuron_ids": IDS, "roi_ids": []}
    recorder = Recorder(path, make_about(rate_unit="spikes per bin", **ids))
    measured = slice(None) if with_center else slice(2)
    behaviors = given.target.behavior[:, measured].tolist()
    for place, values in enumerate(gain * given.target.activity):
        recorder.add_activity(ActivityRow(place, place, *behaviors[place]), values)
        recorder.add_stimulus(place, np.rint(given.stimulus[place]).astype(np.uint8))
    recorder.close()
    return recorder.path


def test_a_session_in_other_units_gives_every_neuron_a_gain(folder, tmp_path):
    published = [tmp_path / "converted.safetensors"]
    source = world.save_network(tmp_path / "model.pth")
    convert_author_files([source], published[0], neuron_ids=np.array(IDS))
    out = tmp_path / "own.safetensors"
    plan = adapt.AdaptRequest(published, out, None, FRAMES, STRIDE_FRAMES)
    session = recorded(tmp_path, gain=0.02, with_center=False)
    with pytest.raises(UserError, match="adapt it to the Sensorium folder"):
        adapt.adapt_to_session(plan, session, ignore_progress)
    knowing = replace(world.make_models()[0], neuron_ids=torch.tensor(IDS))
    data = adapt.recorded.read_training_data(session)
    made = adapt._adapt_encoder(plan, [knowing], data, ignore_progress)
    gain = made.encoder.state_dict()["gain"]
    np.testing.assert_allclose(gain, 0.02, rtol=0.3)
    assert gain.median().item() == pytest.approx(0.02, rel=0.03)
    assert made.card.metadata["units"] == "spikes per bin"
    assert made.card.metadata["validation_r"] > 0.3
    assert made.calibration.behavior_mean[2:].tolist() == list(MEAN_BEHAVIOR[2:])


# -- where a checkpoint goes -----------------------------------------------------------


@pytest.mark.parametrize("method", ["live", "map", "published"])
def test_a_session_is_reconstructed_with_an_adapted_encoder(
    checkpoint, tmp_path, method
):
    session = inversion_world.record_clip(tmp_path, clip())
    out, steps = tmp_path / "out", {"live": 3, "map": 16, "published": 2}[method]
    reconstruct(session, out, encoder=[checkpoint], method=method, steps=steps)
    about = json.loads((out / "reconstruction.json").read_text())
    assert np.load(out / "movie.npy").shape == (35, 36, 64)
    if method != "published":
        assert about["pixel_correlation"] > 0.3


def test_the_live_process_inverts_an_adapted_encoder_beside_a_null(checkpoint):
    settings = InversionSettings(window_frames=20, hop_frames=5, max_steps=2)
    known = load_checkpoint(checkpoint)
    inverter = InversionPair(known, settings)
    given = clip(20).target
    header = messages.Activity(
        session="", seq=0, t=0.0, encoder_frame=0, frame=0, t_frame=0.0
    )
    for start in range(0, 20, 5):
        samples = [
            QueuedActivity(header, values) for values in given.activity[start:][:5]
        ]
        inverter.push_activity(samples)
        for inversion in (inverter.live, inverter.null):
            assert inverter.take_steps(inversion, 0.0) == 1
    assert inverter.live.movie_coefficients().isfinite().all()
    assert not torch.equal(
        inverter.live.movie_coefficients(), inverter.null.movie_coefficients()
    )
    assert inverter.live.information_fraction()[0] > 0.5
    assert inverter.pop_notices() == []
    published = known.encoder.dwiseneuro
    answers = published.predict_windows

    def fails_once(*_):
        published.predict_windows = answers
        raise torch.OutOfMemoryError("no memory")

    published.predict_windows = fails_once
    assert inverter.take_steps(inverter.live, 0.0) == 1
    [(_, note)] = inverter.pop_notices()
    assert "ran out of memory: from now on 1 windows" in note
    assert inverter.pop_notices() == [], "described once"


def copies(checkpoint, folder):
    """The checkpoint and what it refers to, elsewhere; its own path leads nowhere."""
    card = read_card(checkpoint)
    [file] = card.metadata["external_weights"]["files"]
    moved = folder / file["name"]
    moved.write_bytes((checkpoint.parent / file["name"]).read_bytes())
    described = {
        **card.metadata["external_weights"],
        "files": [{**file, "path": "/nowhere/x.pth"}],
    }
    known = load_checkpoint(checkpoint)
    path = folder / "moved.safetensors"
    meta = {**card.metadata, "external_weights": described}
    save_checkpoint(replace(known, card=replace(known.card, path=path, metadata=meta)))
    return path, moved


def test_the_published_file_may_be_beside_the_checkpoint(checkpoint, tmp_path):
    path, moved = copies(checkpoint, tmp_path)
    assert load_checkpoint(path).encoder.n_neurons == N_NEURONS
    moved.write_bytes(moved.read_bytes() + b"more")
    with pytest.raises(CheckpointError, match=r"model\.pth, which has changed since"):
        load_checkpoint(path)
    moved.unlink()
    with pytest.raises(CheckpointError, match=r"put model\.pth there or beside"):
        load_checkpoint(path)


# what a checkpoint says of its published encoder -> words of the sentence
INVALID_REFERENCES = {
    "nothing": ({}, "does not say which published encoder"),
    "no stride": ({"stride_frames": 0}, "does not say which .*stride_frames"),
    "a mouse that it lacks": ({"mouse": 3}, "no readout for mouse 3"),
}


@pytest.mark.parametrize("case", INVALID_REFERENCES)
def test_a_checkpoint_with_invalid_external_weights_is_refused(
    checkpoint, tmp_path, case
):
    changes, words = INVALID_REFERENCES[case]
    known, path = load_checkpoint(checkpoint), tmp_path / "odd.safetensors"
    described = (
        {**known.card.metadata["external_weights"], **changes} if changes else {}
    )
    meta = {**known.card.metadata, "external_weights": described}
    save_checkpoint(replace(known, card=replace(known.card, path=path, metadata=meta)))
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_an_adapted_encoder_cannot_be_a_core(checkpoint, tmp_path):
    start = TrainingOptions(core_checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="has a published encoder, not"):
        validate_training(tmp_path / "new.safetensors", TrainingRecipe(), start)
