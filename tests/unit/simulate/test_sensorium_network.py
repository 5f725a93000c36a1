"""SENSORIUM baselines give their known answers; any other file is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.simulate.subjects.image_network import WHOLE_MAP, MapCrop
from rtrecon.simulate.subjects.sensorium_network import (
    predict_responses,
    read_sensorium_file,
)
from tests.support.sensorium_checkpoint import SESSION, make_weights, write_checkpoint

MODELS = {"sensorium": "sensorium_sota_model", "sensorium-ln": "sensorium_ln_model"}


@pytest.mark.parametrize("name", MODELS)
def test_known_answers_are_reproduced(shared_data, name):
    folder = shared_data / "real_mouse"
    if not (file := folder / f"{MODELS[name]}.pth").exists():
        pytest.skip(f"there is no {file}; see docs/test-data.md")
    with np.load(folder / "known_answers.npz") as known, torch.no_grad():
        frames, expected = torch.from_numpy(known["frames"]), known[name]
        made = predict_responses(*read_sensorium_file(file), frames)
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("n_layers", [3, 4])
def test_a_crop_gives_the_answers_of_the_whole_map(tmp_path, n_layers):
    file = write_checkpoint(tmp_path / "a.pth", make_weights(n_layers=n_layers))
    core, readout = read_sensorium_file(file)
    images = torch.randn(2, 1, 36, 64)
    crop = MapCrop.around(readout, core.reach_px)
    assert (crop.bottom - crop.top, crop.right - crop.left) != (28, 56)
    with torch.no_grad():
        whole = readout.read_maps(core.compute_maps(images), WHOLE_MAP)
        cut = readout.read_maps(core.compute_maps(crop.cut_images(images)), crop)
    torch.testing.assert_close(cut, whole, atol=1e-5, rtol=1e-4)


def test_a_shifter_is_ignored(tmp_path):
    weights = make_weights()
    weights[f"shifter.{SESSION}.mlp.0.weight"] = torch.ones(5, 2)
    read_sensorium_file(write_checkpoint(tmp_path / "a.pth", weights))


def change(key, tensor):
    """Return weights with one tensor exchanged; None leaves it out."""
    weights = make_weights()
    weights[key] = tensor
    return {k: v for k, v in weights.items() if v is not None}


FIRST = "core.features.layer0.conv.weight"
FEATURES = f"readout.{SESSION}._features"
OTHER_ARCHITECTURES = {
    "other kernel": (change(FIRST, torch.ones(64, 1, 15, 15)), r"\(64, 1, 15, 15\)"),
    "two channels": (change(FIRST, torch.ones(64, 2, 9, 9)), r"\(64, 2, 9, 9\)"),
    "lacks a tensor": (change("core.features.layer1.norm.bias", None), "it lacks"),
    "one layer": (make_weights(n_layers=1), "its core has 1 layers, not 3 or 4"),
    "more": (change("modulator.gru.weight", torch.ones(1)), "it also has 'modulator"),
    "no readout": (change(FEATURES, None), "it has 0 readouts, not one"),
    "two readouts": (change("readout.b._features", torch.ones(1)), "2 readouts"),
    "spatial readout": (change(FEATURES, torch.ones(1, 64, 36, 40)), "in place of"),
    "a list": ([torch.ones(3)], "it is not a state dict of tensors"),
    "other content": ({"weights": 3}, "it is not a state dict of tensors"),
}


@pytest.mark.parametrize("case", OTHER_ARCHITECTURES)
def test_another_architecture_is_refused(tmp_path, case):
    content, pattern = OTHER_ARCHITECTURES[case]
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match="is not one of the four baseline") as caught:
        read_sensorium_file(tmp_path / "other.pth")
    assert caught.match(pattern)


def test_a_checkpoint_without_neurons_is_refused(tmp_path):
    file = write_checkpoint(tmp_path / "none.pth", make_weights(n_neurons=0))
    with pytest.raises(UserError, match="has no neurons; give another"):
        read_sensorium_file(file)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    weights = make_weights()
    weights[FIRST][3, 0, 4, 4] = torch.nan
    with pytest.raises(UserError, match=f"NaN or infinite in '{FIRST}'"):
        read_sensorium_file(write_checkpoint(tmp_path / "nan.pth", weights))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, share):
    whole = write_checkpoint(tmp_path / "whole.pth").read_bytes()
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"is empty|cut off|damaged"):
        read_sensorium_file(cut)


class Program:
    """Its pickle would call a function when it is opened."""

    def __reduce__(self):
        return (pytest.fail, ("code in the file was run",))


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"a": Program()}, tmp_path / "program.pth")
    with pytest.raises(UserError, match="holds more than weights, or is damaged"):
        read_sensorium_file(tmp_path / "program.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Program()))
    with pytest.raises(UserError, match=r"holds more than weights|cannot be read"):
        read_sensorium_file(tmp_path / "plain.pth")


def test_a_text_in_place_of_weights_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("<html>not found</html>")
    with pytest.raises(UserError, match="is a text that begins with '<html>"):
        read_sensorium_file(tmp_path / "text.pth")
