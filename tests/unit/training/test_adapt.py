"""A published encoder, adapted from a recording, works wherever a checkpoint does."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.cli import analysis
from rtrecon.config import InvertSettings
from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.layout import UNITS
from rtrecon.encoder.card import CheckpointError, read_card
from rtrecon.encoder.checkpoint import load, save
from rtrecon.encoder.dwiseneuro.convert import convert
from rtrecon.encoder.dwiseneuro.inference import load_published
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.inversion.live.process import Inverter, Sample
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.encoder_files import open_encoder
from rtrecon.inversion.offline.target import Target
from rtrecon.protocol import messages
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow
from rtrecon.training import adapt, calibration
from rtrecon.training.compact.fit import Recipe
from rtrecon.training.train import Start, prepare
from tests.support import dwiseneuro_live_world as world
from tests.support import inversion_world
from tests.support.dwiseneuro_live_world import N_NEURONS, PAST, USUAL
from tests.support.session_tables import about

FRAMES, STRIDE_FRAMES = 90, 32
IDS = (100 + np.arange(N_NEURONS)).tolist()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def silent(*_):
    """Tell nobody."""


@pytest.fixture(scope="module", autouse=True)
def _quickly():
    """One temperature and few steps, so that a file of tests takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "TEMPERATURES", (0.25,))
        patch.setattr(calibration, "_STEPS", 2)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return world.folder(tmp_path_factory.mktemp("sensorium") / "mouse")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return world.saved(tmp_path_factory.mktemp("published") / "model.pth")


@pytest.fixture(scope="module")
def checkpoint(published, folder):
    """Written by the command itself."""
    out = published.with_name("adapted.safetensors")
    analysis.adapt(
        [published], out, sensorium=folder, frames=FRAMES, stride_frames=STRIDE_FRAMES
    )
    return out


def clip(n_frames: int = 35) -> Clip:
    """Something to reconstruct, as it was recorded."""
    shown = world.LOW.to_pixels(world.movie(PAST + n_frames))[PAST:]
    told = world.raw(world.behavior(PAST + n_frames)[PAST:])
    activity = world.activity(PAST + n_frames)
    target = Target(activity.numpy(), told.numpy())
    return Clip("clip", target, shown, np.array(IDS))


# -- what is written -------------------------------------------------------------------


def test_prior_and_calibration_are_learnt_and_the_encoder_stays_what_it_is(
    checkpoint, published
):
    found = load(checkpoint)
    np.testing.assert_array_equal(found.card.rois.ids, IDS)
    meta = found.card.meta
    assert meta["validation_r"] > 0.3
    assert (meta["units"], meta["sensorium"]) == (UNITS, "mouse")
    assert meta["published"]["files"][0]["name"] == published.name
    usual = meta["published"]["behavior_mean"]
    assert usual == pytest.approx(USUAL, abs=1)
    assert usual == found.calibration.behavior_mean.tolist()
    # Around what is predicted counts vary less than around their mean.
    counted = world.activity(PAST + 90)
    around_mean = counted.var(0) / counted.mean(0)
    assert (found.calibration.dispersion / around_mean).median() < 0.5
    fitted, own = found.prior.variance.sqrt(), world.prior().variance.sqrt()
    assert fitted[0] == pytest.approx(float(own[0]), rel=0.3)
    asked = world.movie(PAST + 8), world.behavior(PAST + 8)
    scaled = (world.raw(asked[1]) - found.calibration.behavior_mean) / (
        found.calibration.behavior_sd
    )
    answer = found.model.expect(asked[0], scaled) - found.model.state_dict()["floor"]
    expected = world.live(STRIDE_FRAMES).expect(*asked) - 0.01
    torch.testing.assert_close(answer, expected, rtol=0.01, atol=0.05)
    assert 0 < found.model.reach()[0, 0] < 1
    assert checkpoint.stat().st_size < 200_000, "no weights lie in it"


def test_all_behavior_that_was_recorded_is_told(checkpoint, folder):
    """What the mouse did once is not held at four usual s.d."""
    calibration = load(checkpoint).calibration
    read = Folder(folder)
    did = np.concatenate([read.trial(i).behavior for i in range(len(read.tiers))])
    told = calibration.scaled(torch.from_numpy(did))
    back = calibration.behavior_mean + calibration.behavior_sd * told
    train = np.abs(back.numpy() - did).max(0)
    assert (train < 0.5 * did.std(0)).all()


def test_saved_again_it_is_the_same(checkpoint, tmp_path):
    found = load(checkpoint)
    again = tmp_path / "again.safetensors"
    save(replace(found, card=replace(found.card, path=again)))
    for key, value in found.model.state_dict().items():
        assert torch.equal(load(again).model.state_dict()[key], value), key


def test_an_ensemble_is_adapted_as_one(
    checkpoint, published, folder, tmp_path, monkeypatch
):
    known = load(checkpoint).calibration
    monkeypatch.setattr(adapt, "calibrate", lambda *_: known)
    other = world.saved(tmp_path / "other.pth", seed=1)
    plan = adapt.Plan([published, other], tmp_path / "both.safetensors", frames=90)
    made = adapt.adapt_to_sensorium(plan, folder, silent)
    assert len(made.card.meta["published"]["files"]) == 2
    asked = clip().target
    rates = open_encoder(plan.out, clip()).rates(
        torch.from_numpy(clip().shown), asked.behavior_tensor()
    )
    mean = load_published([published, other]).rates(
        torch.from_numpy(clip().shown), asked.behavior_tensor()
    )
    torch.testing.assert_close(rates, mean, rtol=1e-3, atol=1e-2)


# -- from a session of ours ------------------------------------------------------------


def recorded(path, gain, n_frames=700, with_center=True):
    """A session of rates in other units than those of the encoder.

    with_center: whether somebody looked where the pupil was.
    """
    given = clip(n_frames)
    ids = {"neuron_ids": IDS, "roi_ids": []}
    recorder = Recorder(path, about(rates_in="spikes per bin", **ids))
    measured = slice(None) if with_center else slice(2)
    behaviors = given.target.behavior[:, measured].tolist()
    for place, values in enumerate(gain * given.target.activity):
        recorder.activity(ActivityRow(place, place, *behaviors[place]), values)
        recorder.stimulus(place, np.rint(given.shown[place]).astype(np.uint8))
    recorder.close()
    return recorder.path


def test_a_session_in_other_units_gives_every_neuron_a_gain(folder, tmp_path):
    published = [tmp_path / "converted.safetensors"]
    source = world.saved(tmp_path / "model.pth")
    convert([source], published[0], neuron_ids=np.array(IDS))
    out = tmp_path / "own.safetensors"
    plan = adapt.Plan(published, out, None, FRAMES, STRIDE_FRAMES)
    session = recorded(tmp_path, gain=0.02, with_center=False)
    with pytest.raises(UserError, match="adapt it to the Sensorium folder"):
        adapt.adapt_to_session(plan, session, silent)
    knowing = replace(world.models()[0], neuron_ids=torch.tensor(IDS))
    material = adapt.recorded.read_material(session)
    made = adapt._adapt(plan, [knowing], material, silent)
    gain = made.model.state_dict()["gain"]
    np.testing.assert_allclose(gain, 0.02, rtol=0.3)
    assert gain.median().item() == pytest.approx(0.02, rel=0.03)
    assert made.card.meta["units"] == "spikes per bin"
    assert made.card.meta["validation_r"] > 0.3
    assert made.calibration.behavior_mean[2:].tolist() == list(USUAL[2:])


@pytest.mark.parametrize("with_center", [True, False])
def test_what_was_never_measured_has_the_mean_that_the_encoder_knows(
    tmp_path, with_center
):
    session = recorded(tmp_path, 1.0, with_center=with_center)
    material = adapt.recorded.read_material(session)
    mouse = Mouse(0, N_NEURONS, "", (1.0, 2.0, 3.0, 4.0))
    model = replace(world.models()[0], mouse=mouse)
    found = adapt._knowing(model, material).behavior_mean.tolist()
    own = USUAL if with_center else (*USUAL[:2], 3.0, 4.0)
    assert found == pytest.approx(own, abs=1)


# -- where a checkpoint goes -----------------------------------------------------------


@pytest.mark.parametrize("method", ["live", "map", "published"])
def test_a_session_is_reconstructed_with_it(checkpoint, tmp_path, method):
    session = inversion_world.recorded(tmp_path, clip())
    out, steps = tmp_path / "out", {"live": 3, "map": 16, "published": 2}[method]
    analysis.reconstruct(session, out, encoder=[checkpoint], method=method, steps=steps)
    about = json.loads((out / "reconstruction.json").read_text())
    assert np.load(out / "movie.npy").shape == (35, 36, 64)
    if method != "published":
        assert about["pixel_correlation"] > 0.3


def test_the_live_process_inverts_it_beside_a_null(checkpoint):
    settings = InvertSettings(window_frames=20, hop_frames=5, max_steps=2)
    known = load(checkpoint)
    inverter = Inverter(known, settings)
    given = clip(20).target
    header = messages.Activity(session="", seq=0, t=0.0, index=0, frame=0, t_frame=0.0)
    for start in range(0, 20, 5):
        samples = [Sample(header, values) for values in given.activity[start:][:5]]
        inverter.advance(samples)
        for inversion in (inverter.live, inverter.null):
            assert inverter.refine(inversion, 0.0) == 1
    assert inverter.live.frames().isfinite().all()
    assert not torch.equal(inverter.live.frames(), inverter.null.frames())
    assert inverter.live.information_fraction()[0] > 0.5
    assert inverter.notes() == []
    published = known.model.published
    answers = published.answers

    def fails_once(*_):
        published.answers = answers
        raise torch.OutOfMemoryError("no memory")

    published.answers = fails_once
    assert inverter.refine(inverter.live, 0.0) == 1
    [(_, note)] = inverter.notes()
    assert "ran out of memory: from now on 1 windows" in note
    assert inverter.notes() == [], "told once"


# -- what does not fit -----------------------------------------------------------------


def run_adapt(published, folder, out, **changes):
    plan = adapt.Plan([published], out, **{"frames": 90, **changes})
    return adapt.adapt_to_sensorium(plan, folder, silent)


# changes to a plan -> words of the sentence
MISTAKES = {
    "few frames": ({"frames": 10}, "10 frames are too few .* give 90 or more"),
    "wide windows": ({"stride_frames": 33}, "every 33 frames .* give 1 to 32"),
    "no windows": ({"stride_frames": 0}, "every 0 frames"),
    "another mouse": ({"mouse": "7"}, "no readout for mouse 7"),
    "no GPU": ({"device": "cuda"}, "torch finds none here"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_sentences(published, folder, tmp_path, case, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    changes, words = MISTAKES[case]
    with pytest.raises(UserError, match=words):
        run_adapt(published, folder, tmp_path / "out.safetensors", **changes)


def test_either_a_folder_or_a_session(published, folder, tmp_path):
    for given in ({}, {"sensorium": folder, "session": tmp_path}):
        with pytest.raises(UserError, match="either --sensorium or --session"):
            analysis.adapt([published], tmp_path / "out.safetensors", **given)


# the model changed -> words of the sentence; the folder is called "mouse"
STRANGERS = {
    "fewer neurons": (
        {"neuron_ids": torch.arange(7)},
        "{}",
        "answers for 7 neurons .* the recording has 40",
    ),
    "other neurons": (
        {"neuron_ids": 200 + torch.arange(N_NEURONS)},
        "{}",
        "expects neuron 200 in place 0, but the recording has 100",
    ),
    "another mouse's folder": (
        {"mouse": Mouse(0, N_NEURONS, "29515-10-12", USUAL)},
        '{"sensorium": "dynamic29623-4-9-Video-9b4f"}',
        r"mouse 0 \(29515-10-12\), but the folder is that of mouse 1 \(29623-4-9\)",
    ),
    "another rate": ({}, '{"rate_hz": 15.0}', "has 15 frames per second"),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_a_recording_of_others_is_refused(folder, case):
    changes, meta, words = STRANGERS[case]
    material = adapt.sensorium.read_material(adapt.Folder(folder), silent)
    changed = replace(material, meta={**material.meta, **json.loads(meta)})
    model = replace(world.models()[0], **changes)
    with pytest.raises(UserError, match=words):
        adapt._require_same(model, changed)


def copies(checkpoint, folder):
    """The checkpoint and what it refers to, elsewhere; its own path leads nowhere."""
    card = read_card(checkpoint)
    [file] = card.meta["published"]["files"]
    moved = folder / file["name"]
    moved.write_bytes((checkpoint.parent / file["name"]).read_bytes())
    told = {**card.meta["published"], "files": [{**file, "path": "/nowhere/x.pth"}]}
    known = load(checkpoint)
    path = folder / "moved.safetensors"
    meta = {**card.meta, "published": told}
    save(replace(known, card=replace(known.card, path=path, meta=meta)))
    return path, moved


def test_the_published_file_may_lie_beside_the_checkpoint(checkpoint, tmp_path):
    path, moved = copies(checkpoint, tmp_path)
    assert load(path).model.n_neurons == N_NEURONS
    moved.write_bytes(moved.read_bytes() + b"more")
    with pytest.raises(CheckpointError, match=r"model\.pth .* has changed since"):
        load(path)
    moved.unlink()
    with pytest.raises(CheckpointError, match=r"put model\.pth there or beside"):
        load(path)


# what a checkpoint says of its published encoder -> words of the sentence
UNTOLD = {
    "nothing": ({}, "does not say which published encoder"),
    "no stride": ({"stride_frames": 0}, "does not say which .*stride_frames"),
    "a mouse that it lacks": ({"mouse": 3}, "no readout for mouse 3"),
}


@pytest.mark.parametrize("case", UNTOLD)
def test_a_checkpoint_that_tells_nonsense_is_refused(checkpoint, tmp_path, case):
    changes, words = UNTOLD[case]
    known, path = load(checkpoint), tmp_path / "odd.safetensors"
    told = {**known.card.meta["published"], **changes} if changes else {}
    meta = {**known.card.meta, "published": told}
    save(replace(known, card=replace(known.card, path=path, meta=meta)))
    with pytest.raises(CheckpointError, match=words):
        load(path)


def test_it_has_no_core_to_train_on(checkpoint, tmp_path):
    start = Start(core=checkpoint)
    with pytest.raises(CheckpointError, match="has no compact one"):
        prepare(tmp_path / "new.safetensors", Recipe(), start)
