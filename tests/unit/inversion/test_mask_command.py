"""`rtrecon mask` trains a mask on a session and writes a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline.mask_command import (
    MaskRequest,
    create_mask_file,
    read_mask,
)
from tests.support import inversion_world as world

TRIAL_FRAMES = 82  # fifty that pass, and thirty-two that are compared


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    return world.record_clip(folder, world.make_clip(2 * TRIAL_FRAMES))


@pytest.fixture
def plan(session, tmp_path):
    encoder = world.save_encoder(tmp_path / "encoder.safetensors")
    return lambda **changes: MaskRequest(
        **{
            "session": session,
            "encoder": encoder,
            "output_file": tmp_path / "masks" / "mask.npy",
            "steps": 4,
            **changes,
        }
    )


def test_a_mask_is_written_and_read(plan):
    reports = []
    sentence = create_mask_file(plan(), lambda *report: reports.append(report))
    mask = read_mask(plan().output_file)
    assert mask.shape == (36, 64)
    assert mask.mean() > 0.025  # more than it began with
    assert sentence.startswith(f"{plan().output_file} written: 0% of the screen")
    assert reports[-1] == ("mask", 1.0, "4 steps")


def test_the_seed_determines_the_mask(plan):
    masks = []
    for seed in (1, 1, 2):
        create_mask_file(plan(seed=seed, steps=1))
        masks.append(read_mask(plan().output_file))
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])


def test_a_session_too_short_for_two_trials_is_refused(plan, tmp_path):
    short = world.record_clip(
        tmp_path / "short", world.make_clip(2 * TRIAL_FRAMES - 10)
    )
    with pytest.raises(UserError, match="1 of 2 trials can train a mask"):
        create_mask_file(plan(session=short))


def test_a_file_where_the_folder_should_be_is_reported(plan, tmp_path):
    (tmp_path / "masks").write_text("not a folder")
    with pytest.raises(UserError, match="cannot be created"):
        create_mask_file(plan())
