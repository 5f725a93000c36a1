"""The pair of live inversion and null: held-out neurons, behaviour, steps, seed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rtrecon.config import InversionSettings
from rtrecon.core.errors import UserError
from rtrecon.inversion.live.algorithms import ALGORITHMS
from rtrecon.inversion.live.backlog import QueuedActivity, missing_activity
from rtrecon.inversion.live.behavior_range import WINDOW_FRAMES
from rtrecon.inversion.live.inversion_pair import InversionPair
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import NO_BEHAVIOR
from tests.support import trained_encoder

N, WINDOW, HOP = 40, 12, 6
SETTINGS = InversionSettings(
    window_frames=WINDOW, hop_frames=HOP, held_out_fraction=0.25
)
NOW, NEVER = 0.0, math.inf  # deadlines: one always past, one never reached


def queue_activity(index, values, behavior):
    header = messages.Activity(
        session="s",
        seq=0,
        t=0.0,
        encoder_frame=index,
        frame=0,
        t_frame=0.0,
        behavior=behavior,
    )
    return QueuedActivity(header, values)


@pytest.fixture(scope="module")
def checkpoint():
    return trained_encoder.make_untrained_checkpoint(
        Path("none"), list(range(N)), (20, 30)
    )


def hop(seed=0, changed=None, behavior=NO_BEHAVIOR):
    """Return a hop of activity; `changed` neurons get another value."""
    activity = np.random.default_rng(seed).gamma(1, 1, (HOP, N)).astype(np.float32)
    if changed is not None:
        activity[:, changed] = 1e3
    return [queue_activity(i, values, behavior) for i, values in enumerate(activity)]


def invert(checkpoint, queued, settings=SETTINGS):
    """Return the movies of live and null after two hops, a few steps each."""
    pair = InversionPair(checkpoint, settings)
    inversions = [pair.live, pair.null]
    for _ in range(2):
        pair.push_activity(queued)
        for inversion in inversions:
            for step in range(3):
                inversion.step(step / 2)
    return [inversion.movie_coefficients() for inversion in inversions]


def test_held_out_neurons_do_not_influence_the_movie(checkpoint):
    held_out = InversionPair(checkpoint, SETTINGS).held_out.numpy()
    assert 0.1 * N < held_out.sum() < 0.4 * N
    before = invert(checkpoint, hop())
    after = invert(checkpoint, hop(changed=held_out))
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    used = np.flatnonzero(~held_out)[0]
    for one, other in zip(before, invert(checkpoint, hop(changed=used)), strict=True):
        assert not torch.equal(one, other)


def test_the_null_gets_the_activity_of_other_neurons(checkpoint):
    pair = InversionPair(checkpoint, SETTINGS)
    pair.push_activity(hop())
    live, null = pair.live.activity[-HOP:], pair.null.activity[-HOP:]
    assert (live != null).all()
    assert torch.equal(live.sort(1).values, null.sort(1).values)
    is_own_group = torch.equal(
        live[:, pair.held_out].sort(1).values,
        null[:, pair.held_out].sort(1).values,
    )
    assert is_own_group, "held-out neurons must be exchanged among themselves"


def test_the_null_can_be_switched_off(checkpoint):
    settings = SETTINGS.model_copy(update={"null": False})
    pair = InversionPair(checkpoint, settings)
    pair.push_activity(hop())
    assert pair.null is None


# behaviour as received -> z-scored, in s.d. from the mean in training
BEHAVIOR = {
    "average": (("mean",) * 4, (0, 0, 0, 0)),
    "unknown": (NO_BEHAVIOR, (0, 0, 0, 0)),
    "speed unknown": (("one above", None, "mean", "one above"), (1, 0, 0, 1)),
    "no pupil seen": ((None, "one above", None, None), (0, 1, 0, 0)),
    "far out of range": ((1e6, -1e6, 1e6, -1e6), (4, -4, 4, -4)),
}


@pytest.mark.parametrize("case", BEHAVIOR)
def test_behavior_is_standardized_as_in_training(checkpoint, case):
    given, expected = BEHAVIOR[case]
    mean, sd = checkpoint.calibration.behavior_mean, checkpoint.calibration.behavior_sd
    values = [
        {"mean": float(mean[i]), "one above": float(mean[i] + sd[i])}.get(value, value)
        for i, value in enumerate(given)
    ]
    pair = InversionPair(checkpoint, SETTINGS)
    pair.push_activity(hop(behavior=tuple(values)))
    for inversion in (pair.live, pair.null):
        found = inversion.behavior[-HOP:]
        np.testing.assert_allclose(found, np.tile(expected, (HOP, 1)), atol=1e-5)


# behaviour as received -> beginnings of the notices
NOTICES = {
    "nothing known": (NO_BEHAVIOR, []),
    "a camera that was moved": (
        (None, None, 1e3, None),
        ["pupil x is out of the range"],
    ),
    "other units": ((None, 1e6, None, None), ["running speed is out of the range"]),
}


@pytest.mark.parametrize("case", NOTICES)
def test_behavior_out_of_range_is_reported_once_per_session(checkpoint, case):
    given, expected = NOTICES[case]
    pair = InversionPair(checkpoint, SETTINGS.model_copy(update={"null": False}))
    for _ in range(2):
        for _ in range(WINDOW_FRAMES // HOP):
            pair.push_activity(hop(behavior=given))
        notices = [
            sentence for name, sentence in pair.pop_notices() if name == "behavior"
        ]
        assert len(notices) == len(expected)
        assert all(map(str.startswith, notices, expected))
        pair.begin_session()


def test_frames_without_activity_leave_a_finite_movie(checkpoint):
    pair = InversionPair(checkpoint, SETTINGS)
    pair.push_activity(missing_activity(N, HOP))
    pair.take_steps(pair.live, NOW)
    assert pair.live.activity.isnan().all()
    assert pair.live.movie_coefficients().isfinite().all()


def test_steps_stop_at_the_deadline_or_the_limit_but_one_is_taken(checkpoint):
    settings = SETTINGS.model_copy(update={"max_steps": 7})
    pair = InversionPair(checkpoint, settings)
    pair.push_activity(hop())
    assert pair.take_steps(pair.live, NOW) == 1
    assert pair.take_steps(pair.live, NEVER) == 7


def test_the_data_weight_of_the_settings_replaces_the_checkpoints(checkpoint):
    settings = SETTINGS.model_copy(update={"data_weight": 0.5})
    changed = InversionPair(checkpoint, settings)
    usual = InversionPair(checkpoint, SETTINGS)
    assert checkpoint.calibration.data_weight == 0.25
    assert torch.equal(changed.live.problem.weight, 2 * usual.live.problem.weight)


def test_the_seed_determines_held_out_neurons_and_movie(checkpoint):
    one, same = (invert(checkpoint, hop())[0] for _ in range(2))
    assert torch.equal(one, same)
    other = SETTINGS.model_copy(update={"seed": 1})
    assert not torch.equal(
        InversionPair(checkpoint, other).held_out,
        InversionPair(checkpoint, SETTINGS).held_out,
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_device_is_refused_with_a_sentence():
    checkpoint = trained_encoder.make_untrained_checkpoint(
        Path("none"), list(range(N)), (20, 30)
    )
    settings = SETTINGS.model_copy(update={"device": "cuda"})
    with pytest.raises(UserError, match=r"finds no such device.*inversion\.device"):
        InversionPair(checkpoint, settings)


# -- the algorithm ---------------------------------------------------------------------


class StillInversion:
    """The smallest algorithm: a gray movie, whatever the activity."""

    def __init__(self, inputs):
        self.inputs = inputs
        self.notices = ["a notice"]
        self.activity = torch.full((WINDOW, N), torch.nan)
        self.n_steps = 0

    def push_activity(self, activity, behavior):
        self.activity = torch.cat([self.activity, activity])[-WINDOW:]

    def step(self, progress):
        self.n_steps += 1

    def synchronize(self):
        pass

    def movie(self):
        return np.full((WINDOW, 36, 64), 127, np.float32)

    def predict_activity(self):
        return torch.zeros(WINDOW, N)

    def information_fraction(self):
        return torch.zeros(WINDOW)


def test_the_settings_choose_the_algorithm_by_name(checkpoint, monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "still", StillInversion)
    settings = SETTINGS.model_copy(update={"algorithm": "still", "max_steps": 3})
    pair = InversionPair(checkpoint, settings)
    pair.push_activity(hop())
    assert pair.take_steps(pair.live, NEVER) == 3
    assert isinstance(pair.live, StillInversion)
    assert pair.live.n_steps == 3
    assert torch.equal(pair.live.inputs.held_out, pair.held_out)
    assert pair.live.inputs.seed != pair.null.inputs.seed
    assert pair.pop_notices() == [("memory", "a notice")] * 2
    assert pair.pop_notices() == []


def test_an_unknown_algorithm_is_refused_with_the_known_names(checkpoint):
    settings = SETTINGS.model_copy(update={"algorithm": "magic"})
    with pytest.raises(UserError, match=r"'magic' is not known; choose one of: map"):
        InversionPair(checkpoint, settings)
