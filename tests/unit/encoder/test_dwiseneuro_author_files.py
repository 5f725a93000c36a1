"""Files of the published encoder are read safely, and damaged ones are refused."""

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
from rtrecon.encoder.dwiseneuro.author_files import read_author_file
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import N_NEURONS, NARROW

Saved = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return dwiseneuro_world.write_author_file(tmp_path / "model-017-0.292118.pth")


@pytest.mark.parametrize("mouse", range(3))
def test_the_weights_of_one_mouse_are_read(path, mouse: int):
    model = read_author_file(path, mouse)
    assert model.architecture == NARROW
    assert model.mouse == Mouse(mouse, N_NEURONS[mouse])
    assert model.neuron_ids.tolist() == list(range(N_NEURONS[mouse]))
    assert model.source == "model-017-0.292118.pth"
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    state = dwiseneuro_world.make_network().state_dict()
    own = f"readouts.{mouse}."
    kept = [key for key in state if not key.startswith("readouts.") or own in key]
    assert list(model.weights) == kept
    for key in kept:
        assert torch.equal(model.weights[key], state[key]), key


def test_weights_do_not_depend_on_the_file_after_reading(path):
    model = read_author_file(path, 0)
    before = {key: value.clone() for key, value in model.weights.items()}
    path.write_bytes(bytes(path.stat().st_size))
    for key, value in model.weights.items():
        assert torch.equal(value, before[key]), key


def test_files_in_the_old_format_of_torch_are_read(path):
    old = path.with_name("old.pth")
    saved = dwiseneuro_world.make_author_layout(dwiseneuro_world.make_network())
    torch.save(saved, old, _use_new_zipfile_serialization=False)
    expected = read_author_file(path, 1).weights
    for key, value in read_author_file(old, 1).weights.items():
        assert torch.equal(value, expected[key]), key


def test_missing_options_take_their_published_values(path):
    saved = dwiseneuro_world.make_author_layout(dwiseneuro_world.make_network())
    del saved["params"]["nn_module"][1]["softplus_beta"]
    torch.save(saved, path)
    assert read_author_file(path, 0).architecture.softplus_beta == 0.07


# -- files that do not hold the network they describe ------------------------------

STEM, BIAS = "core.stem.0.weight", "readouts.1.layer.1.bias"


def remove(key: str) -> Callable[[Saved], object]:
    return lambda saved: saved["nn_state_dict"].pop(key)


def add(key: str, value: object) -> Callable[[Saved], object]:
    return lambda saved: saved["nn_state_dict"].update({key: value})


def set_option(key: str, value: object) -> Callable[[Saved], object]:
    return lambda saved: saved["params"]["nn_module"][1].update({key: value})


def remove_part(key: str) -> Callable[[Saved], object]:
    return lambda saved: saved.pop(key)


LAYOUT = r"is not in the published layout of DwiseNeuro: .*{}"

# damage to the file -> part of the error
DAMAGE = {
    "a missing key": (
        remove(STEM),
        r"it lacks 'core\.stem\.0\.weight' \(6, 5, 1, 1, 1\)\. Download",
    ),
    "an extra key": (
        add("core.stem.2.weight", torch.zeros(3, 4)),
        r"it also has 'core\.stem\.2\.weight' \(3, 4\)\. Download",
    ),
    "a misshapen key": (
        add(STEM, torch.zeros(6, 6, 1, 1, 1)),
        r"of another shape are 'core\.stem\.0\.weight' with \(6, 6, 1, 1, 1\) in "
        r"place of \(6, 5, 1, 1, 1\)\. Download",
    ),
    "another mouse's misshapen key": (
        add(BIAS, torch.zeros(6)),
        r"of another shape are 'readouts\.1\.layer\.1\.bias' with \(6,\) in place "
        r"of \(4,\)",
    ),
    "a renamed key": (
        lambda saved: (remove(BIAS)(saved), add("bias", torch.zeros(4))(saved)),
        r"it lacks 'readouts\.1\.layer\.1\.bias' \(4,\); .*it also has 'bias' \(4,\)",
    ),
    "a weight that is NaN": (
        add(STEM, torch.full((6, 5, 1, 1, 1), torch.nan)),
        r"not finite: 30 of 30 numbers of 'core\.stem\.0\.weight'",
    ),
    "another expansion": (
        set_option("expansion_ratio", 3),
        r"of another shape are .* with \(12, .* in place of \(18, .* and \d+ more",
    ),
    "more mice": (set_option("readout_outputs", (5, 4, 5, 9)), r"lacks 'readouts\.3\."),
    "no options": (remove_part("params"), LAYOUT.format("required field `params`")),
    "no weights": (
        remove_part("nn_state_dict"),
        LAYOUT.format("field `nn_state_dict`"),
    ),
    "a weight that is none": (add(STEM, 3), LAYOUT.format("`Tensor`, got `int`")),
    "no mice": (set_option("readout_outputs", None), LAYOUT.format("got `null`")),
    "nobody's readout": (
        set_option("readout_outputs", (5, 0, 5)),
        LAYOUT.format(">= 1"),
    ),
    "words for a size": (
        set_option("groups", "two"),
        LAYOUT.format("`int`, got `str`"),
    ),
    "no step at all": (set_option("spatial_strides", (0, 2)), LAYOUT.format(">= 1")),
    "strides of another": (set_option("spatial_strides", (4,)), LAYOUT.format("zip")),
    "groups that do not fit": (set_option("groups", 7), LAYOUT.format("divisible")),
    "no block at all": (set_option("core_features", ()), LAYOUT.format("out of range")),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_reading_a_damaged_file_raises_a_sentence(path, case: str):
    damage, words = DAMAGE[case]
    saved = dwiseneuro_world.make_author_layout(dwiseneuro_world.make_network())
    damage(saved)
    torch.save(saved, path)
    with pytest.raises(CheckpointError) as error:
        read_author_file(path, 0)
    assert str(path) in str(error.value)
    assert re.search(words, str(error.value), re.DOTALL), error.value


def test_weights_without_options_are_refused(path):
    torch.save(dwiseneuro_world.make_network().state_dict(), path)
    with pytest.raises(CheckpointError, match="weights only, without the options"):
        read_author_file(path, 0)


def test_a_whole_pickled_model_is_refused_with_the_cure(path):
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(CheckpointError, match=r"a whole model\?.*model\.state_dict"):
        read_author_file(path, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_files_of_parallel_training_and_of_half_precision_are_read(path, dtype):
    saved = dwiseneuro_world.make_author_layout(dwiseneuro_world.make_network())
    expected = read_author_file(path, 1).weights
    saved["nn_state_dict"] = {
        f"module.{key}": value.to(dtype) if value.is_floating_point() else value
        for key, value in saved["nn_state_dict"].items()
    }
    torch.save(saved, path)
    weights = read_author_file(path, 1).weights
    assert weights.keys() == expected.keys()
    for key, value in weights.items():
        rounded = expected[key].to(dtype) if value.is_floating_point() else value
        assert torch.equal(value, rounded.to(expected[key].dtype)), key


def test_a_mouse_without_a_readout_is_refused(path):
    with pytest.raises(CheckpointError, match="no readout for mouse 3; give one of 0,"):
        read_author_file(path, 3)
    with pytest.raises(
        CheckpointError, match="readouts for several mice and none was chosen"
    ):
        read_author_file(path)


# -- other files -------------------------------------------------------------------


class Touch:
    """A program in a pickle that creates a file when it is run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


# ways to put a program into a file
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
    saved = dwiseneuro_world.make_author_layout(dwiseneuro_world.make_network())
    saved["params"]["loss"] = Touch(trace)
    PROGRAMS[case](path, saved)
    with pytest.raises(
        CheckpointError, match=r"not opened, .* could contain a program"
    ):
        read_author_file(path, 0)
    assert not trace.exists()


# content of the file -> part of the error
FOREIGN = {
    "nothing": (lambda whole: b"", r"is empty \(0 bytes\); download"),
    "text": (lambda whole: b"404: Not Found\n", "begins with '404: Not Found'"),
    "a pointer": (
        lambda whole: b"version https://git-lfs.github.com/spec/v1\nsize 1\n",
        "get the file with `git lfs pull`",
    ),
    "half of one": (lambda whole: whole[: len(whole) // 2], "may be damaged"),
    "a zip of something": (lambda whole: b"PK\x05\x06" + bytes(18), "cannot be read"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_another_kind_of_file_is_refused(path, case: str):
    content, words = FOREIGN[case]
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(CheckpointError, match=words):
        read_author_file(path, 0)


def test_flipped_bytes_never_cause_a_traceback(path):
    """In the pickle; a flipped byte of a weight gives another weight."""
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        damaged = whole.copy()
        damaged[rng.integers(0, 3000, 5)] = rng.integers(0, 256, 5)
        path.write_bytes(damaged.tobytes())
        try:
            read_author_file(path, 0)
        except CheckpointError:
            refused += 1
    assert refused > 13


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth does not exist"):
        read_author_file(tmp_path / "none.pth", 0)
