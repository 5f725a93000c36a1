"""Files of the published encoder: what is kept, what is refused, and nothing is run."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtrecon.encoder.card import CheckpointError
from rtrecon.encoder.dwiseneuro.author_files import read_published
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import N_NEURONS, NARROW

Saved = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return dwiseneuro_world.saved(tmp_path / "model-017-0.292118.pth")


@pytest.mark.parametrize("mouse", range(3))
def test_one_mouse_s_part_comes_back_as_it_was(path, mouse: int):
    model = read_published(path, mouse)
    assert model.sizes == NARROW
    assert model.mouse == Mouse(mouse, N_NEURONS[mouse])
    assert model.neuron_ids.tolist() == list(range(N_NEURONS[mouse]))
    assert model.source == "model-017-0.292118.pth"
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    state = dwiseneuro_world.network().state_dict()
    own = f"readouts.{mouse}."
    kept = [key for key in state if not key.startswith("readouts.") or own in key]
    assert list(model.weights) == kept
    for key in kept:
        assert torch.equal(model.weights[key], state[key]), key


def test_what_is_kept_does_not_need_the_file_any_more(path):
    model = read_published(path, 0)
    before = {key: value.clone() for key, value in model.weights.items()}
    path.write_bytes(bytes(path.stat().st_size))
    for key, value in model.weights.items():
        assert torch.equal(value, before[key]), key


def test_files_in_the_old_format_of_torch_are_read_too(path):
    old = path.with_name("old.pth")
    saved = dwiseneuro_world.layout(dwiseneuro_world.network())
    torch.save(saved, old, _use_new_zipfile_serialization=False)
    expected = read_published(path, 1).weights
    for key, value in read_published(old, 1).weights.items():
        assert torch.equal(value, expected[key]), key


def test_options_that_are_not_told_are_those_of_the_publication(path):
    saved = dwiseneuro_world.layout(dwiseneuro_world.network())
    del saved["params"]["nn_module"][1]["softplus_beta"]
    torch.save(saved, path)
    assert read_published(path, 0).sizes.softplus_beta == 0.07


# -- what is not the network that it says it is -------------------------------------

STEM, BIAS = "core.stem.0.weight", "readouts.1.layer.1.bias"


def lacks(key: str) -> Callable[[Saved], object]:
    return lambda saved: saved["nn_state_dict"].pop(key)


def holds(key: str, value: object) -> Callable[[Saved], object]:
    return lambda saved: saved["nn_state_dict"].update({key: value})


def says(key: str, value: object) -> Callable[[Saved], object]:
    return lambda saved: saved["params"]["nn_module"][1].update({key: value})


def without(key: str) -> Callable[[Saved], object]:
    return lambda saved: saved.pop(key)


LAYOUT = r"is not in the published layout of DwiseNeuro: .*{}"

# what is done to a file -> words of the sentence
DAMAGE = {
    "a missing key": (
        lacks(STEM),
        r"it lacks 'core\.stem\.0\.weight' \(6, 5, 1, 1, 1\)\. Fetch",
    ),
    "an extra key": (
        holds("core.stem.2.weight", torch.zeros(3, 4)),
        r"it has beyond that 'core\.stem\.2\.weight' \(3, 4\)\. Fetch",
    ),
    "a misshapen key": (
        holds(STEM, torch.zeros(6, 6, 1, 1, 1)),
        r"misshapen are 'core\.stem\.0\.weight' with \(6, 6, 1, 1, 1\) in place of "
        r"\(6, 5, 1, 1, 1\)\. Fetch",
    ),
    "another mouse's misshapen key": (
        holds(BIAS, torch.zeros(6)),
        r"misshapen are 'readouts\.1\.layer\.1\.bias' with \(6,\) in place of \(4,\)",
    ),
    "a renamed key": (
        lambda saved: (lacks(BIAS)(saved), holds("bias", torch.zeros(4))(saved)),
        r"it lacks 'readouts\.1\.layer\.1\.bias' \(4,\); .*beyond that 'bias' \(4,\)",
    ),
    "another expansion": (
        says("expansion_ratio", 3),
        r"misshapen are .* with \(12, .* in place of \(18, .* and \d+ more",
    ),
    "more mice": (says("readout_outputs", (5, 4, 5, 9)), r"lacks 'readouts\.3\."),
    "no options": (without("params"), LAYOUT.format("required field `params`")),
    "no weights": (without("nn_state_dict"), LAYOUT.format("field `nn_state_dict`")),
    "a weight that is none": (holds(STEM, 3), LAYOUT.format("`Tensor`, got `int`")),
    "no mice": (says("readout_outputs", None), LAYOUT.format("got `null`")),
    "nobody's readout": (says("readout_outputs", (5, 0, 5)), LAYOUT.format(">= 1")),
    "words for a size": (says("groups", "two"), LAYOUT.format("`int`, got `str`")),
    "no step at all": (says("spatial_strides", (0, 2)), LAYOUT.format(">= 1")),
    "strides of another": (says("spatial_strides", (4,)), LAYOUT.format("zip")),
    "groups that do not fit": (says("groups", 7), LAYOUT.format("divisible")),
    "no block at all": (says("core_features", ()), LAYOUT.format("out of range")),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_is_refused_with_a_sentence(path, case: str):
    damage, words = DAMAGE[case]
    saved = dwiseneuro_world.layout(dwiseneuro_world.network())
    damage(saved)
    torch.save(saved, path)
    with pytest.raises(CheckpointError) as error:
        read_published(path, 0)
    assert str(path) in str(error.value)
    assert re.search(words, str(error.value), re.DOTALL), error.value


def test_a_mouse_that_has_no_readout_is_refused(path):
    with pytest.raises(CheckpointError, match="no readout for mouse 3; give one of 0,"):
        read_published(path, 3)
    with pytest.raises(CheckpointError, match="which mouse is meant is not said"):
        read_published(path)


# -- what is no such file -----------------------------------------------------------


class Touch:
    """A program in a pickle: it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


# how a program gets into a file
PROGRAMS: dict[str, Callable[[Path, Saved], object]] = {
    "beside the weights": lambda path, saved: torch.save(saved, path),
    "in the old format": lambda path, saved: torch.save(
        saved, path, _use_new_zipfile_serialization=False
    ),
    "in a plain pickle": lambda path, saved: path.write_bytes(pickle.dumps(saved)),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_program_in_a_file_is_refused_and_not_run(path, case: str):
    trace = path.with_name("it-ran")
    saved = dwiseneuro_world.layout(dwiseneuro_world.network())
    saved["params"]["loss"] = Touch(trace)
    PROGRAMS[case](path, saved)
    with pytest.raises(CheckpointError, match=r"not opened, .* could be a program"):
        read_published(path, 0)
    assert not trace.exists()


# what a file holds -> words of the sentence
FOREIGN = {
    "nothing": (lambda whole: b"", "cannot be read as a file of torch.save"),
    "text": (lambda whole: b"not a network at all\n" * 50, "was not opened"),
    "half of one": (lambda whole: whole[: len(whole) // 2], "may be damaged"),
    "a zip of something": (lambda whole: b"PK\x05\x06" + bytes(18), "cannot be read"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_checkpoint_is_refused(path, case: str):
    content, words = FOREIGN[case]
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(CheckpointError, match=words):
        read_published(path, 0)


def test_bytes_that_fell_over_never_end_in_a_traceback(path):
    """Those of the pickle, for a changed weight is a weight."""
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, 3000, 5)] = rng.integers(0, 256, 5)
        path.write_bytes(damaged.tobytes())
        try:
            read_published(path, 0)
        except CheckpointError:
            refused += 1
    assert refused > 20


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth does not exist"):
        read_published(tmp_path / "none.pth", 0)
