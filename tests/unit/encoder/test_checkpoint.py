"""Checkpoints are written and read back; the error for a bad one gives the reason."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from rtrecon.encoder.card import (
    FORMAT_VERSION,
    CheckpointError,
    find_checkpoint,
    read_card,
    require_same_neurons,
)
from rtrecon.encoder.checkpoint import (
    Checkpoint,
    load_checkpoint,
    prepare_output_path,
    save_checkpoint,
)
from tests.support import trained_encoder
from tests.support.convolutional_world import make_encoder

FIELD = (20, 30)
IDS = [7, 3, 12, 5, 1]


def make_checkpoint(path: Path) -> Checkpoint:
    return trained_encoder.make_untrained_checkpoint(path, IDS, FIELD)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "folder" / "small.safetensors"
    save_checkpoint(make_checkpoint(file))
    return file


def test_a_checkpoint_is_read_back_as_it_was_saved(path):
    before, after = make_checkpoint(path), load_checkpoint(path)
    for key, tensor in before.encoder.state_dict().items():
        found = after.encoder.state_dict()[key]
        torch.testing.assert_close(found, tensor, atol=1e-3, rtol=0, msg=key)
    for key, value in dataclasses.asdict(before.prior).items():
        assert torch.equal(getattr(after.prior, key), value), key
    for key, value in dataclasses.asdict(before.calibration).items():
        torch.testing.assert_close(
            getattr(after.calibration, key), value, atol=1e-3, rtol=0, msg=key
        )
    assert after.calibration.data_weight == 0.25
    assert not any(p.requires_grad for p in after.encoder.parameters())


def test_the_card_alone_holds_the_same_neurons_and_metadata(path):
    before, card = make_checkpoint(path).card, read_card(path)
    for field in dataclasses.fields(before.rois):
        expected = getattr(before.rois, field.name)
        np.testing.assert_array_equal(getattr(card.rois, field.name), expected)
    np.testing.assert_array_equal(card.mean_image, before.mean_image)
    assert card.metadata == before.metadata | {
        "format": FORMAT_VERSION,
        "data_weight": 0.25,
        "stimulus_space": json.loads(json.dumps(before.space.to_metadata())),
    }
    assert card.space == before.space


def test_saving_again_replaces_the_file_and_leaves_no_other(path):
    save_checkpoint(make_checkpoint(path))
    assert list(path.parent.iterdir()) == [path]


def test_the_shipped_demo_encoder_loads():
    shipped = load_checkpoint(find_checkpoint("demo"))
    assert shipped.encoder.n_neurons == len(shipped.card.rois)
    assert "simulated" in shipped.card.metadata
    assert find_checkpoint("some/where.safetensors") == Path("some/where.safetensors")


# -- files that cannot be used -----------------------------------------------------

Tensors, Metadata = dict[str, torch.Tensor], dict[str, object]


def remove(key: str) -> Callable[[Tensors, Metadata], object]:
    return lambda tensors, metadata: tensors.pop(key)


def reshape(key: str, *shape: int) -> Callable[[Tensors, Metadata], object]:
    return lambda tensors, metadata: tensors.update({key: torch.zeros(shape)})


def set_metadata(key: str, value: object) -> Callable[[Tensors, Metadata], object]:
    return lambda tensors, metadata: metadata.update({key: value})


def put(key: str, value: float) -> Callable[[Tensors, Metadata], object]:
    return lambda tensors, metadata: tensors[key].view(-1)[3].fill_(value)


def move_masks_outside(tensors: Tensors, metadata: Metadata) -> None:
    tensors["masks.rows"][0] = FIELD[0]


def disorder_masks(tensors: Tensors, metadata: Metadata) -> None:
    tensors["masks.indptr"][1] = 1000


NOT_WHOLE = r"does not hold a whole encoder: .*{}"
DAMAGED = "is damaged: its masks do not fit its mean image"

# damage to the file -> part of the error
DAMAGE = {
    "no prior": (
        remove("prior.ar_coefficient"),
        NOT_WHOLE.format("prior.ar_coefficient"),
    ),
    "no weights": (
        remove("encoder.semisaturation"),
        NOT_WHOLE.format("semisaturation"),
    ),
    "no filters": (remove("encoder.spatial_filters"), NOT_WHOLE.format("filters")),
    "no calibration": (remove("dispersion"), NOT_WHOLE.format("dispersion")),
    "no stimulus space": (
        set_metadata("stimulus_space", None),
        "does not say what its stimulus is",
    ),
    "wrong stimulus space": (
        set_metadata("stimulus_space", {"name": "video"}),
        "describes its stimulus wrongly",
    ),
    "no masks": (remove("masks.rows"), "not one of rtrecon .*masks.rows"),
    "no image": (remove("mean_image"), "not one of rtrecon .*mean_image"),
    "misshapen weights": (
        reshape("encoder.semisaturation", 6),
        NOT_WHOLE.format("semisaturation"),
    ),
    "misshapen filters": (
        reshape("encoder.spatial_filters", 9),
        NOT_WHOLE.format("filters"),
    ),
    "other frequencies": (
        reshape("encoder.spatial_filters", 10, 99),
        NOT_WHOLE.format("filters"),
    ),
    "misshapen prior": (
        reshape("prior.innovation_sd", 99),
        NOT_WHOLE.format(
            r"'prior.innovation_sd' has shape \(99,\) in place of \(\d+,\)"
        ),
    ),
    "two behavior values": (
        reshape("behavior_mean", 2),
        NOT_WHOLE.format(r"'behavior_mean' has shape \(2,\) in place of \(4,\)"),
    ),
    "no innovation power": (
        remove("innovation_power"),
        NOT_WHOLE.format("'innovation_power'"),
    ),
    "gains of two behavior values": (
        reshape("encoder.behavior_gain", 2, 5),
        NOT_WHOLE.format(r"gain: .*\[2, 5\].*\[4, 5\]"),
    ),
    "other neurons' calibration": (
        reshape("dispersion", 4),
        NOT_WHOLE.format(r"'dispersion' has shape \(4,\) in place of \(5,\)"),
    ),
    "misshapen map": (
        reshape("identifiability", 64, 36),
        NOT_WHOLE.format("'identifiability'"),
    ),
    "misshapen image": (reshape("mean_image", 600), DAMAGED),
    "masks outside the field": (move_masks_outside, DAMAGED),
    "masks out of order": (disorder_masks, DAMAGED),
    "masks of more neurons": (reshape("masks.ids", 6), DAMAGED),
    "masks without weights": (reshape("masks.weights", 3), DAMAGED),
    "a weight that is NaN": (
        put("encoder.spatial_filters", float("nan")),
        r"weights that are not finite: 1 of \d+ numbers of 'encoder.spatial_filters'",
    ),
    "an infinite prior": (
        put("prior.ar_coefficient", float("inf")),
        r"not finite: 1 of \d+ numbers of 'prior.ar_coefficient' .* train it anew",
    ),
    "no data weight": (set_metadata("data_weight", None), NOT_WHOLE.format("NoneType")),
    "a later format": (set_metadata("format", 2), "has format 2, this version reads 1"),
    "no format": (set_metadata("format", "one"), "no rtrecon header"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_loading_a_damaged_file_raises_a_sentence(path, case):
    damage, words = DAMAGE[case]
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["rtrecon"])
    damage(tensors, metadata)
    save_file(tensors, path, {"rtrecon": json.dumps(metadata)})
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)
    assert re.search(words, str(error.value), re.DOTALL), error.value


# content of a file that is no checkpoint -> part of the error
FOREIGN = {
    "nothing": (b"", r"is empty \(0 bytes\)"),
    "a web page": (b"<!DOCTYPE html>", "a text that begins with .<!DOCTYPE html>"),
    "a pickle": (b"\x80\x04\x95" + bytes(200), "not one of rtrecon"),
    "text": (b"PK\x03\x04 and so on, and so on", "not one of rtrecon"),
    "half of one": (None, "not one of rtrecon"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_loading_another_kind_of_file_raises_a_sentence(path, case):
    content, words = FOREIGN[case]
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half if content is None else content)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_safetensors_without_our_header_are_refused(path):
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="no rtrecon header"):
        load_checkpoint(path)


def test_loading_a_missing_file_raises_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match=r"does not exist; .*rtrecon train"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_an_impossible_output_path_is_refused_before_training(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder; give a file"):
        prepare_output_path(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        prepare_output_path(file / "below.safetensors")


# ids of the masks -> part of the error, or None
NEURONS = {
    "the same": ([7, 3, 12, 5, 1], None),
    "fewer": ([7, 3, 12, 5], "trained on 5 neurons, but there are 4 masks"),
    "none": ([], "trained on 5 neurons, but there are 0 masks"),
    "another order": ([7, 12, 3, 5, 1], "expects neuron 3 at index 1, .* have 12"),
    "others": ([8, 3, 12, 5, 1], "expects neuron 7 at index 0, .* have 8"),
}


@pytest.mark.parametrize("case", NEURONS)
def test_masks_must_have_the_trained_ids_in_their_order(path, case):
    ids, words = NEURONS[case]
    card = read_card(path)
    if words is None:
        require_same_neurons(card, trained_encoder.make_scattered_rois(ids, FIELD))
    else:
        with pytest.raises(CheckpointError, match=words):
            require_same_neurons(card, trained_encoder.make_scattered_rois(ids, FIELD))


def make_convolutional_checkpoint(path: Path) -> Checkpoint:
    encoder = make_encoder(len(IDS))
    return dataclasses.replace(make_checkpoint(path), encoder=encoder)


def test_a_convolutional_encoder_is_read_back_with_its_network(tmp_path):
    before = make_convolutional_checkpoint(tmp_path / "c.safetensors")
    save_checkpoint(before)
    after = load_checkpoint(before.card.path)
    found, saved = after.encoder.state_dict(), before.encoder.state_dict()
    assert found.keys() == saved.keys()
    for key, tensor in saved.items():
        torch.testing.assert_close(found[key], tensor, atol=1e-3, rtol=1e-3, msg=key)
    with pytest.raises(CheckpointError, match="has a convolutional encoder, not a com"):
        after.require_compact()


# Name -> the tensor that is damaged, what it becomes, a pattern of the error.
DAMAGED_CONVOLUTIONAL = {
    "other neurons": ("encoder.weights", torch.zeros(3, 12), "'weights' has shape"),
    "a number that is not finite": (
        "encoder.network.first.bias",
        torch.full((4,), torch.nan),
        "not finite",
    ),
    "a layer of another size": (
        "encoder.network.third.bias",
        torch.zeros(5),
        "size mismatch for third.bias",
    ),
    "no size": (
        "encoder.network.second.weight",
        torch.tensor(0.0),
        "'second.weight' of the feature network has shape",
    ),
}


@pytest.mark.parametrize("case", DAMAGED_CONVOLUTIONAL)
def test_a_damaged_convolutional_encoder_is_refused(tmp_path, case):
    key, tensor, pattern = DAMAGED_CONVOLUTIONAL[case]
    path = tmp_path / "c.safetensors"
    save_checkpoint(make_convolutional_checkpoint(path))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(path) | {key: tensor}, path, metadata)
    with pytest.raises(CheckpointError, match=pattern):
        load_checkpoint(path)
