"""Converted files hold the same weights, and the ids of the neurons."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from rtrecon.core.files import temporary_path
from rtrecon.encoder.card import CheckpointError, read_card
from rtrecon.encoder.dwiseneuro.author_files import read_author_file
from rtrecon.encoder.dwiseneuro.convert import convert_author_files, read_converted_file
from rtrecon.encoder.dwiseneuro.inference import load_dwiseneuro
from rtrecon.encoder.dwiseneuro.mouse_names import SENSORIUM_MICE, Mouse
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import FLOAT32_TOLERANCE, make_trial

HEADER = "rtrecon-dwiseneuro"
IDS = np.array([12, 3, 40, 41, 7])
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models, as of an ensemble."""
    folder = tmp_path_factory.mktemp("published")
    return [
        dwiseneuro_world.write_author_file(folder / f"{seed}.pth", seed)
        for seed in SEEDS
    ]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "mouse.safetensors"


def read_header(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()[HEADER])


@pytest.mark.parametrize(("mouse", "n_models"), [(0, 1), (1, 3), (2, 2)])
def test_a_converted_file_holds_the_same_weights(
    sources, out, mouse: int, n_models: int
):
    torch.set_num_threads(1)
    movie_and_behavior = make_trial(31)
    assert convert_author_files(sources[:n_models], out, mouse).index == mouse
    expected = load_dwiseneuro(sources[:n_models], mouse).predict_rates(
        *movie_and_behavior
    )
    rates = load_dwiseneuro([out]).predict_rates(*movie_and_behavior)
    torch.testing.assert_close(rates, expected, **FLOAT32_TOLERANCE)
    for source, converted in zip(sources, read_converted_file(out), strict=False):
        for key, value in read_author_file(source, mouse).weights.items():
            assert torch.equal(converted.weights[key], value), key


def test_a_converted_file_gives_the_known_prediction(shared_data, out):
    source = shared_data / "encoder" / "dwiseneuro_small.pth"
    if not source.is_file():
        pytest.skip(f"no known predictions at {source}")
    known = np.load(source.with_name("dwiseneuro_small_io.npz"))
    convert_author_files([source], out, 1)
    behavior = np.concatenate([known["behavior"], known["pupil_center"]]).T
    rates = load_dwiseneuro([out]).predict_rates(
        torch.from_numpy(known["video"].transpose(2, 0, 1)[:31].copy()),
        torch.from_numpy(behavior[:31].copy()),
    )
    np.testing.assert_allclose(
        rates[::2].T, known["window_readout1"], **FLOAT32_TOLERANCE
    )


def test_ids_of_neurons_are_stored(sources, out):
    convert_author_files(sources, out, 0, IDS)
    assert load_dwiseneuro([out]).neuron_ids.tolist() == IDS.tolist()
    convert_author_files(sources, out, 0)
    assert load_dwiseneuro([out]).neuron_ids.tolist() == [0, 1, 2, 3, 4]


def test_the_header_names_the_source_files(sources, out):
    convert_author_files(sources, out, 1)
    about = read_header(out)
    assert about["network"] == "DwiseNeuro"
    assert about["mouse"]["index"] == 1
    assert about["mouse"]["n_neurons"] == 4
    assert [part["source"] for part in about["models"]] == ["0.pth", "1.pth", "2.pth"]
    assert len({part["sha256"] for part in about["models"]}) == 3
    assert about["models"][0]["architecture"]["core_features"] == [6, 8]
    assert [model.sha256 for model in read_converted_file(out)] == [
        part["sha256"] for part in about["models"]
    ]


def test_a_known_mouse_keeps_its_name_and_its_mean_behavior(tmp_path, out):
    """The readout has the real size of the first mouse."""
    sizes = dwiseneuro_world.NARROW
    made = dwiseneuro_world.DwiseNeuro(sizes, {0: SENSORIUM_MICE[0].n_neurons})
    saved = dwiseneuro_world.make_author_layout(made)
    saved["params"]["nn_module"][1]["readout_outputs"] = (7863,)
    torch.save(saved, tmp_path / "real.pth")
    assert (
        convert_author_files([tmp_path / "real.pth"], out, "dynamic29515-10-12")
        == SENSORIUM_MICE[0]
    )
    assert load_dwiseneuro([out], 29515).mouse == SENSORIUM_MICE[0]
    video, behavior = make_trial(31)
    assert (
        load_dwiseneuro([out])
        .predict_rates(video, behavior * torch.nan)
        .isfinite()
        .all()
    )


def test_only_the_readout_of_the_chosen_mouse_is_written(sources, out):
    convert_author_files(sources[:1], out, 1)
    readouts = [key for key in load_file(out) if "readouts" in key]
    assert sorted(readouts) == [
        "0.readouts.1.layer.1.bias",
        "0.readouts.1.layer.1.weight",
    ]


def test_converting_again_replaces_the_file_and_leaves_no_other(sources, out):
    convert_author_files(sources, out, 0)
    convert_author_files(sources[:1], out, 2)
    assert list(out.parent.iterdir()) == [out]
    assert read_converted_file(out)[0].mouse == Mouse(2, 5)


# -- files that cannot be converted ------------------------------------------------

# name of the output, mouse, ids -> part of the error
REFUSED = {
    "another kind of file": ("mouse.pth", 0, None, r"mouse\.pth has to end in \.safe"),
    "a folder": (".", 0, None, "has to end in"),
    "no such mouse": ("m.safetensors", 7, None, "no readout for mouse 7"),
    "no mouse chosen": (
        "m.safetensors",
        None,
        None,
        "readouts for several mice and none was chosen",
    ),
    "too few ids": ("m.safetensors", 0, IDS[:4], "mouse 0 has 5 neurons, but their"),
    "ids in a table": ("m.safetensors", 0, IDS[None], r"int64 of shape \(1, 5\)"),
    "broken ids": ("m.safetensors", 0, IDS / 2, "float64 of shape"),
    "one id twice": ("m.safetensors", 0, IDS // 2 * 2, "neurons share an id"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_impossible_conversion_is_refused_and_writes_nothing(
    sources, tmp_path, case: str
):
    name, mouse, ids, words = REFUSED[case]
    with pytest.raises(CheckpointError, match=words):
        convert_author_files(sources[:1], tmp_path / name, mouse, ids)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_refused_as_output(sources, out):
    out.mkdir(parents=True)
    with pytest.raises(CheckpointError, match="is a folder; give a file"):
        convert_author_files(sources, out, 0)


def test_an_output_that_cannot_be_written_is_refused(sources, out):
    temporary_path(out).mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"mouse\.safetensors cannot be written"):
        convert_author_files(sources[:1], out, 0)


def test_an_empty_list_of_files_is_refused(out):
    with pytest.raises(CheckpointError, match="no checkpoint is given"):
        convert_author_files([], out, 0)


def test_networks_of_different_neurons_are_no_ensemble(sources, out, tmp_path):
    other = dwiseneuro_world.make_author_layout(dwiseneuro_world.make_network())
    state = other["nn_state_dict"]
    other["params"]["nn_module"][1]["readout_outputs"] = (5, 4, 6)
    torch.save({**other, "nn_state_dict": state}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"5 neurons of mouse 2, but other\.pth"):
        convert_author_files([*sources, tmp_path / "other.pth"], out, 2)


# -- damaged and other files ------------------------------------------------------

Tensors, Header = dict[str, torch.Tensor], dict[str, Any]


def set_header(key: str, value: object) -> Callable[[Tensors, Header], object]:
    return lambda tensors, header: header.update({key: value})


# damage to the file -> part of the error
DAMAGE = {
    "a missing key": (
        lambda tensors, header: tensors.pop("0.core.stem.0.weight"),
        r"it lacks '0\.core\.stem\.0\.weight' \(6, 5, 1, 1, 1\)\. .*convert it again",
    ),
    "an extra key": (
        lambda tensors, header: tensors.update(more=torch.zeros(2)),
        r"it also has 'more' \(2,\)",
    ),
    "misshapen ids": (
        lambda tensors, header: tensors.update(neuron_ids=torch.zeros(4)),
        r"of another shape are 'neuron_ids' with \(4,\) in place of \(5,\)",
    ),
    "a weight that is NaN": (
        lambda tensors, header: tensors["0.core.stem.0.weight"].fill_(torch.nan),
        r"not finite: 30 of 30 numbers of '0\.core\.stem\.0\.weight'",
    ),
    "a model less": (
        lambda tensors, header: header["models"].pop(),
        r"it also has '1\.core.* more",
    ),
    "a later format": (set_header("format", 2), "has format 2, this version reads 1"),
    "no mouse": (set_header("mouse", None), "is not a converted DwiseNeuro"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_reading_a_damaged_file_raises_a_sentence(sources, out, case: str):
    damage, words = DAMAGE[case]
    convert_author_files(sources[:2], out, 0)
    tensors, about = load_file(out), read_header(out)
    damage(tensors, about)
    save_file(tensors, out, {HEADER: json.dumps(about)})
    with pytest.raises(CheckpointError) as error:
        read_converted_file(out)
    assert str(out) in str(error.value)
    assert re.search(words, str(error.value), re.DOTALL), error.value


def test_other_kinds_of_files_are_refused(sources, tmp_path):
    file = tmp_path / "foreign.safetensors"
    with pytest.raises(CheckpointError, match="does not exist"):
        read_converted_file(file)
    file.write_bytes(sources[0].read_bytes())
    with pytest.raises(CheckpointError, match="is not a converted DwiseNeuro"):
        read_converted_file(file)
    save_file({"weight": torch.zeros(3)}, file)
    with pytest.raises(CheckpointError, match="make one with `rtrecon convert`"):
        read_converted_file(file)


def test_a_file_of_another_mouse_is_refused(sources, out):
    convert_author_files(sources, out, 2)
    assert read_converted_file(out, "2")[0].mouse == Mouse(2, 5)
    with pytest.raises(CheckpointError, match="no readout for mouse 0; give one of 2"):
        read_converted_file(out, 0)


def test_a_converted_file_is_refused_as_a_checkpoint(sources, out):
    convert_author_files(sources, out, 0)
    with pytest.raises(CheckpointError, match=str(re.escape(str(out)))):
        read_card(out)
