"""Checkpoints go to disk and back; one that cannot be used says why."""

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
    FORMAT,
    CheckpointError,
    find,
    read_card,
    require_same_neurons,
)
from rtrecon.encoder.checkpoint import Checkpoint, load, make_room, save
from tests.support import trained_encoder

FIELD = (20, 30)
IDS = [7, 3, 12, 5, 1]


def made(path: Path) -> Checkpoint:
    return trained_encoder.untrained(path, IDS, FIELD)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "folder" / "small.safetensors"
    save(made(file))
    return file


def test_everything_comes_back(path):
    before, after = made(path), load(path)
    for key, tensor in before.model.state_dict().items():
        found = after.model.state_dict()[key]
        torch.testing.assert_close(found, tensor, atol=1e-3, rtol=0, msg=key)
    for key, value in dataclasses.asdict(before.prior).items():
        assert torch.equal(getattr(after.prior, key), value), key
    for key, value in dataclasses.asdict(before.calibration).items():
        torch.testing.assert_close(
            getattr(after.calibration, key), value, atol=1e-3, rtol=0, msg=key
        )
    assert after.calibration.temperature == 0.25
    assert not any(p.requires_grad for p in after.model.parameters())


def test_the_card_is_read_alone_and_says_the_same(path):
    before, card = made(path).card, read_card(path)
    for field in dataclasses.fields(before.rois):
        expected = getattr(before.rois, field.name)
        np.testing.assert_array_equal(getattr(card.rois, field.name), expected)
    np.testing.assert_array_equal(card.mean_image, before.mean_image)
    assert card.meta == before.meta | {"format": FORMAT, "temperature": 0.25}


def test_saving_again_replaces_and_leaves_nothing_else(path):
    save(made(path))
    assert list(path.parent.iterdir()) == [path]


def test_the_shipped_one_is_whole():
    shipped = load(find("demo"))
    assert shipped.model.n_neurons == len(shipped.card.rois)
    assert "simulated" in shipped.card.meta
    assert find("some/where.safetensors") == Path("some/where.safetensors")


# -- what cannot be used ------------------------------------------------------------

Tensors, Meta = dict[str, torch.Tensor], dict[str, object]


def without(key: str) -> Callable[[Tensors, Meta], object]:
    return lambda tensors, meta: tensors.pop(key)


def shaped(key: str, *shape: int) -> Callable[[Tensors, Meta], object]:
    return lambda tensors, meta: tensors.update({key: torch.zeros(shape)})


def said(key: str, value: object) -> Callable[[Tensors, Meta], object]:
    return lambda tensors, meta: meta.update({key: value})


def outside(tensors: Tensors, meta: Meta) -> None:
    tensors["masks.rows"][0] = FIELD[0]


def backwards(tensors: Tensors, meta: Meta) -> None:
    tensors["masks.indptr"][1] = 1000


NOT_WHOLE = r"does not hold a whole encoder: .*{}"
DAMAGED = "is damaged: its masks and its mean image do not fit together"

# what is done to a file -> words of the sentence
DAMAGE = {
    "no prior": (without("prior.rho"), NOT_WHOLE.format("prior.rho")),
    "no weights": (without("model.rest"), NOT_WHOLE.format("rest")),
    "no filters": (without("model.filters"), NOT_WHOLE.format("filters")),
    "no calibration": (without("dispersion"), NOT_WHOLE.format("dispersion")),
    "no masks": (without("masks.rows"), "not one of ours .*masks.rows"),
    "no image": (without("mean_image"), "not one of ours .*mean_image"),
    "misshapen weights": (shaped("model.rest", 6), NOT_WHOLE.format("rest")),
    "misshapen filters": (shaped("model.filters", 9), NOT_WHOLE.format("filters")),
    "other frequencies": (shaped("model.filters", 10, 99), NOT_WHOLE.format("filters")),
    "misshapen prior": (
        shaped("prior.q", 99),
        NOT_WHOLE.format(r"'prior.q' has shape \(99,\) in place of \(\d+,\)"),
    ),
    "before the pupil's place was told": (
        shaped("behavior_mean", 2),
        NOT_WHOLE.format(r"'behavior_mean' has shape \(2,\) in place of \(4,\)"),
    ),
    "before it was known how much is heard of movies": (
        without("heard"),
        NOT_WHOLE.format("'heard'"),
    ),
    "gains of less": (
        shaped("model.gain", 2, 5),
        NOT_WHOLE.format(r"gain: .*\[2, 5\].*\[4, 5\]"),
    ),
    "other neurons' calibration": (
        shaped("dispersion", 4),
        NOT_WHOLE.format(r"'dispersion' has shape \(4,\) in place of \(5,\)"),
    ),
    "misshapen map": (
        shaped("identifiability", 64, 36),
        NOT_WHOLE.format("'identifiability'"),
    ),
    "misshapen image": (shaped("mean_image", 600), DAMAGED),
    "masks outside the field": (outside, DAMAGED),
    "masks out of order": (backwards, DAMAGED),
    "masks of more neurons": (shaped("masks.ids", 6), DAMAGED),
    "masks without weights": (shaped("masks.weights", 3), DAMAGED),
    "no temperature": (said("temperature", None), NOT_WHOLE.format("NoneType")),
    "the format of tomorrow": (said("format", 2), "has format 2, this version reads 1"),
    "no format": (said("format", "one"), "no rtrecon header"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_is_refused_with_a_sentence(path, case):
    damage, words = DAMAGE[case]
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        meta = json.loads(file.metadata()["rtrecon"])
    damage(tensors, meta)
    save_file(tensors, path, {"rtrecon": json.dumps(meta)})
    with pytest.raises(CheckpointError) as error:
        load(path)
    assert str(path) in str(error.value)
    assert re.search(words, str(error.value), re.DOTALL), error.value


# what a file holds that is no checkpoint -> words of the sentence
FOREIGN = {
    "nothing": (b"", "not one of ours"),
    "a pickle": (b"\x80\x04\x95" + bytes(200), "not one of ours"),
    "text": (b"PK\x03\x04 and so on, and so on", "not one of ours"),
    "half of one": (None, "not one of ours"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_checkpoint_is_refused(path, case):
    content, words = FOREIGN[case]
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half if content is None else content)
    with pytest.raises(CheckpointError, match=words):
        load(path)


def test_safetensors_of_others_are_refused(path):
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="no rtrecon header"):
        load(path)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(CheckpointError, match=r"does not exist; .*rtrecon train"):
        load(tmp_path / "none.safetensors")


def test_where_nothing_can_be_written_is_said_beforehand(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder; give a file"):
        make_room(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        make_room(file / "below.safetensors")


# ids of the masks that are offered -> words of the refusal, or None
NEURONS = {
    "the same": ([7, 3, 12, 5, 1], None),
    "fewer": ([7, 3, 12, 5], "knows 5 neurons, but the masks are 4"),
    "none": ([], "knows 5 neurons, but the masks are 0"),
    "another order": ([7, 12, 3, 5, 1], "expects neuron 3 in place 1, .* have 12"),
    "others": ([8, 3, 12, 5, 1], "expects neuron 7 in place 0, .* have 8"),
}


@pytest.mark.parametrize("case", NEURONS)
def test_neurons_have_to_be_those_trained_on_in_their_order(path, case):
    ids, words = NEURONS[case]
    card = read_card(path)
    if words is None:
        require_same_neurons(card, trained_encoder.scattered_rois(ids, FIELD))
    else:
        with pytest.raises(CheckpointError, match=words):
            require_same_neurons(card, trained_encoder.scattered_rois(ids, FIELD))
