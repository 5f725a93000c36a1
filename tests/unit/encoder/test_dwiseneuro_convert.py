"""Published files become one of ours: the same answers, and ids of the neurons."""

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

from rtrecon.encoder.card import CheckpointError, read_card
from rtrecon.encoder.dwiseneuro.convert import convert, read_converted
from rtrecon.encoder.dwiseneuro.inference import load_published
from rtrecon.encoder.dwiseneuro.mouse_names import SENSORIUM, Mouse
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import trial

HEADER = "rtrecon-published"
IDS = np.array([12, 3, 40, 41, 7])
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models, as of an ensemble."""
    folder = tmp_path_factory.mktemp("published")
    return [dwiseneuro_world.saved(folder / f"{seed}.pth", seed) for seed in SEEDS]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "mouse.safetensors"


def header(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()[HEADER])


@pytest.mark.parametrize(("mouse", "n_models"), [(0, 1), (1, 3), (2, 2)])
def test_a_converted_file_answers_the_same(sources, out, mouse: int, n_models: int):
    torch.set_num_threads(1)
    asked = trial(31)
    assert convert(sources[:n_models], out, mouse).index == mouse
    expected = load_published(sources[:n_models], mouse).rates(*asked)
    assert torch.equal(load_published([out]).rates(*asked), expected)


def test_the_known_answer_outlives_conversion(shared_data, out):
    source = shared_data / "encoder" / "dwiseneuro_small.pth"
    if not source.is_file():
        pytest.skip(f"no known answers at {source}")
    known = np.load(source.with_name("dwiseneuro_small_io.npz"))
    convert([source], out, 1)
    told = np.concatenate([known["behavior"], known["pupil_center"]]).T
    answer = load_published([out]).rates(
        torch.from_numpy(known["video"].transpose(2, 0, 1)[:31].copy()),
        torch.from_numpy(told[:31].copy()),
    )
    np.testing.assert_allclose(answer[::2].T, known["window_readout1"], atol=1e-4)


def test_ids_of_neurons_stay_with_them(sources, out):
    convert(sources, out, 0, IDS)
    assert load_published([out]).neuron_ids.tolist() == IDS.tolist()
    convert(sources, out, 0)
    assert load_published([out]).neuron_ids.tolist() == [0, 1, 2, 3, 4]


def test_a_file_says_where_it_comes_from(sources, out):
    convert(sources, out, 1)
    told = header(out)
    assert told["architecture"] == "DwiseNeuro"
    assert told["mouse"]["index"] == 1
    assert told["mouse"]["n_neurons"] == 4
    assert [part["source"] for part in told["models"]] == ["0.pth", "1.pth", "2.pth"]
    assert len({part["sha256"] for part in told["models"]}) == 3
    assert told["models"][0]["sizes"]["core_features"] == [6, 8]
    assert [model.sha256 for model in read_converted(out)] == [
        part["sha256"] for part in told["models"]
    ]


def test_a_known_mouse_keeps_its_name_and_its_usual_behavior(tmp_path, out):
    """Of the size that the first one's readout really has."""
    sizes = dwiseneuro_world.NARROW
    made = dwiseneuro_world.DwiseNeuro(sizes, {0: SENSORIUM[0].n_neurons})
    saved = dwiseneuro_world.layout(made)
    saved["params"]["nn_module"][1]["readout_outputs"] = (7863,)
    torch.save(saved, tmp_path / "real.pth")
    assert convert([tmp_path / "real.pth"], out, "dynamic29515-10-12") == SENSORIUM[0]
    assert load_published([out], 29515).mouse == SENSORIUM[0]
    video, behavior = trial(31)
    assert load_published([out]).rates(video, behavior * torch.nan).isfinite().all()


def test_only_one_mouse_s_readout_is_written(sources, out):
    convert(sources[:1], out, 1)
    readouts = [key for key in load_file(out) if "readouts" in key]
    assert sorted(readouts) == [
        "0.readouts.1.layer.1.bias",
        "0.readouts.1.layer.1.weight",
    ]


def test_converting_again_replaces_and_leaves_nothing_else(sources, out):
    convert(sources, out, 0)
    convert(sources[:1], out, 2)
    assert list(out.parent.iterdir()) == [out]
    assert read_converted(out)[0].mouse == Mouse(2, 5)


# -- what cannot be converted -------------------------------------------------------

# name of what is to be written, mouse, ids -> words of the refusal
REFUSED = {
    "another kind of file": ("mouse.pth", 0, None, r"mouse\.pth has to end in \.safe"),
    "a folder": (".", 0, None, "has to end in"),
    "no such mouse": ("m.safetensors", 7, None, "no readout for mouse 7"),
    "which mouse?": ("m.safetensors", None, None, "which mouse is meant is not said"),
    "too few ids": ("m.safetensors", 0, IDS[:4], "mouse 0 has 5 neurons, but their"),
    "ids in a table": ("m.safetensors", 0, IDS[None], r"int64 of shape \(1, 5\)"),
    "broken ids": ("m.safetensors", 0, IDS / 2, "float64 of shape"),
    "one id twice": ("m.safetensors", 0, IDS // 2 * 2, "neurons share an id"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_converted_is_said_and_nothing_written(
    sources, tmp_path, case: str
):
    name, mouse, ids, words = REFUSED[case]
    with pytest.raises(CheckpointError, match=words):
        convert(sources[:1], tmp_path / name, mouse, ids)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_written_over(sources, out):
    out.mkdir(parents=True)
    with pytest.raises(CheckpointError, match="is a folder; give a file"):
        convert(sources, out, 0)


def test_where_nothing_can_be_written_is_said(sources, out):
    out.with_suffix(".part").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"mouse\.safetensors cannot be written"):
        convert(sources[:1], out, 0)


def test_nothing_is_not_converted(out):
    with pytest.raises(CheckpointError, match="no checkpoint is given"):
        convert([], out, 0)


def test_networks_of_other_neurons_are_no_ensemble(sources, out, tmp_path):
    other = dwiseneuro_world.layout(dwiseneuro_world.network())
    state = other["nn_state_dict"]
    other["params"]["nn_module"][1]["readout_outputs"] = (5, 4, 6)
    torch.save({**other, "nn_state_dict": state}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"5 neurons of mouse 2, but other\.pth"):
        convert([*sources, tmp_path / "other.pth"], out, 2)


# -- what is no converted file ------------------------------------------------------

Tensors, Header = dict[str, torch.Tensor], dict[str, Any]


def told(key: str, value: object) -> Callable[[Tensors, Header], object]:
    return lambda tensors, header: header.update({key: value})


# what is done to a file -> words of the sentence
DAMAGE = {
    "a missing key": (
        lambda tensors, header: tensors.pop("0.core.stem.0.weight"),
        r"it lacks '0\.core\.stem\.0\.weight' \(6, 5, 1, 1, 1\)\. .*convert it anew",
    ),
    "an extra key": (
        lambda tensors, header: tensors.update(more=torch.zeros(2)),
        r"it has beyond that 'more' \(2,\)",
    ),
    "misshapen ids": (
        lambda tensors, header: tensors.update(neuron_ids=torch.zeros(4)),
        r"misshapen are 'neuron_ids' with \(4,\) in place of \(5,\)",
    ),
    "a model less": (
        lambda tensors, header: header["models"].pop(),
        r"it has beyond that '1\.core.* more",
    ),
    "tomorrow's format": (told("format", 2), "has format 2, this version reads 1"),
    "no mouse": (told("mouse", None), "is not a converted one"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_is_refused_with_a_sentence(sources, out, case: str):
    damage, words = DAMAGE[case]
    convert(sources[:2], out, 0)
    tensors, about = load_file(out), header(out)
    damage(tensors, about)
    save_file(tensors, out, {HEADER: json.dumps(about)})
    with pytest.raises(CheckpointError) as error:
        read_converted(out)
    assert str(out) in str(error.value)
    assert re.search(words, str(error.value), re.DOTALL), error.value


def test_other_files_are_refused(sources, tmp_path):
    file = tmp_path / "foreign.safetensors"
    with pytest.raises(CheckpointError, match="does not exist"):
        read_converted(file)
    file.write_bytes(sources[0].read_bytes())
    with pytest.raises(CheckpointError, match="is not a converted one"):
        read_converted(file)
    save_file({"weight": torch.zeros(3)}, file)
    with pytest.raises(CheckpointError, match="make it with `rtrecon convert`"):
        read_converted(file)


def test_a_file_of_another_mouse_is_refused(sources, out):
    convert(sources, out, 2)
    assert read_converted(out, "2")[0].mouse == Mouse(2, 5)
    with pytest.raises(CheckpointError, match="no readout for mouse 0; give one of 2"):
        read_converted(out, 0)


def test_the_compact_encoder_s_reader_says_that_it_is_another(sources, out):
    convert(sources, out, 0)
    with pytest.raises(CheckpointError, match=str(re.escape(str(out)))):
        read_card(out)
