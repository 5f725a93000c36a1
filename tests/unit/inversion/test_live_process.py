"""What reaches the inversion: in order, without holes, and never the held-out."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rtrecon.config import InvertSettings
from rtrecon.core.errors import UserError
from rtrecon.inversion.live.behavior_range import WINDOW_FRAMES
from rtrecon.inversion.live.process import Backlog, Inverter, Sample, silence
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import UNKNOWN
from tests.support import trained_encoder

N, WINDOW, HOP = 40, 12, 6
SETTINGS = InvertSettings(window_frames=WINDOW, hop_frames=HOP, held_out=0.25)
NOW = 0.0  # a deadline that is always past


def sample(index, values=None, behavior=UNKNOWN):
    header = messages.Activity(
        session="s", seq=0, t=0.0, index=index, frame=0, t_frame=0.0, behavior=behavior
    )
    given = np.full(N, index, np.float32) if values is None else values
    return Sample(header, given.astype(np.float32))


# -- waiting activity ---------------------------------------------------------------

# indices that arrive -> those that wait (minus: a hole in its place), and how many
# were skipped; the window is 12 frames
ARRIVALS = {
    "in order": ([5, 6, 7], [5, 6, 7], 0),
    "with a hole": ([1, 2, 5], [1, 2, -3, -4, 5], 0),
    "twice": ([1, 2, 2, 3], [1, 2, 3], 0),
    "too late": ([1, 2, 4, 3], [1, 2, -3, 4], 0),
    "too many": (range(15), range(3, 15), 3),
    "after a long hole": ([0, 1, 100], [*range(-89, -99, -1), -99, 100], 3),
    "from the middle": ([1000], [1000], 0),
}


@pytest.mark.parametrize("case", ARRIVALS)
def test_activity_waits_in_order_and_holes_keep_their_place(case):
    arriving, waiting, skipped = ARRIVALS[case]
    backlog = Backlog(WINDOW)
    for index in arriving:
        backlog.add(sample(index))
    assert len(backlog) == len(waiting)
    taken = backlog.take(len(backlog))
    assert [s.header.index for s in taken] == [abs(index) for index in waiting]
    for found, index in zip(taken, waiting, strict=True):
        expected = np.full(N, index if index >= 0 else np.nan)
        np.testing.assert_array_equal(found.values, expected)
    assert backlog.skipped == skipped


def test_the_oldest_are_taken_first_and_gone():
    backlog = Backlog(WINDOW)
    for index in range(10):
        backlog.add(sample(index))
    assert [s.header.index for s in backlog.take(6)] == list(range(6))
    assert len(backlog) == 4
    assert [s.header.index for s in backlog.take(6)] == list(range(6, 10))
    assert backlog.take(6) == []


def test_however_much_comes_it_stays_small():
    backlog = Backlog(WINDOW)
    for index in range(0, 5000, 2):
        backlog.add(sample(index))
        assert len(backlog) <= WINDOW
    assert backlog.skipped == 4999 - WINDOW


# -- the two inversions -------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint():
    return trained_encoder.untrained(Path("none"), list(range(N)), (20, 30))


def hop(seed=0, lost=None, behavior=UNKNOWN):
    """A hop of samples; `lost` neurons are given other values than without it."""
    activity = np.random.default_rng(seed).gamma(1, 1, (HOP, N)).astype(np.float32)
    if lost is not None:
        activity[:, lost] = 1e3
    return [sample(i, values, behavior) for i, values in enumerate(activity)]


def refined(checkpoint, samples, settings=SETTINGS):
    """Frames of live movie and null after two hops, a few steps each."""
    inverter = Inverter(checkpoint, settings)
    inversions = [inverter.live, inverter.null]
    for _ in range(2):
        inverter.advance(samples)
        for inversion in inversions:
            for step in range(3):
                inversion.step(step / 2)
    return [inversion.frames() for inversion in inversions]


def test_held_out_neurons_never_enter(checkpoint):
    held_out = Inverter(checkpoint, SETTINGS).held_out.numpy()
    assert 0.1 * N < held_out.sum() < 0.4 * N
    before = refined(checkpoint, hop())
    after = refined(checkpoint, hop(lost=held_out))
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    kept = np.flatnonzero(~held_out)[0]
    for one, other in zip(before, refined(checkpoint, hop(lost=kept)), strict=True):
        assert not torch.equal(one, other)


def test_the_null_is_given_everybody_elses_activity(checkpoint):
    inverter = Inverter(checkpoint, SETTINGS)
    inverter.advance(hop())
    live, null = inverter.live.activity[-HOP:], inverter.null.activity[-HOP:]
    assert (live != null).all()
    assert torch.equal(live.sort(1).values, null.sort(1).values)
    own = torch.equal(
        live[:, inverter.held_out].sort(1).values,
        null[:, inverter.held_out].sort(1).values,
    )
    assert own, "held-out neurons have to be exchanged among themselves"


def test_without_a_null_there_is_only_the_movie(checkpoint):
    settings = SETTINGS.model_copy(update={"null": False})
    inverter = Inverter(checkpoint, settings)
    inverter.advance(hop())
    assert inverter.null is None


# behaviour on the wire -> z-scored, in s.d. from the mean in training
BEHAVIOR = {
    "average": (("mean",) * 4, (0, 0, 0, 0)),
    "unknown": (UNKNOWN, (0, 0, 0, 0)),
    "speed unknown": (("one above", None, "mean", "one above"), (1, 0, 0, 1)),
    "no pupil seen": ((None, "one above", None, None), (0, 1, 0, 0)),
    "beyond belief": ((1e6, -1e6, 1e6, -1e6), (4, -4, 4, -4)),
}


@pytest.mark.parametrize("case", BEHAVIOR)
def test_behavior_is_scaled_as_in_training(checkpoint, case):
    given, expected = BEHAVIOR[case]
    mean, sd = checkpoint.calibration.behavior_mean, checkpoint.calibration.behavior_sd
    values = [
        {"mean": float(mean[i]), "one above": float(mean[i] + sd[i])}.get(value, value)
        for i, value in enumerate(given)
    ]
    inverter = Inverter(checkpoint, SETTINGS)
    inverter.advance(hop(behavior=tuple(values)))
    for inversion in (inverter.live, inverter.null):
        found = inversion.behavior[-HOP:]
        np.testing.assert_allclose(found, np.tile(expected, (HOP, 1)), atol=1e-5)


# behaviour on the wire -> what is said of it in the end
UNLIKE = {
    "nothing known": (UNKNOWN, []),
    "a camera that was moved": ((None, None, 1e3, None), ["pupil x is unlike"]),
    "other units": ((None, 1e6, None, None), ["running speed is unlike"]),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_behavior_that_no_training_saw_is_told_in_every_session(checkpoint, case):
    given, expected = UNLIKE[case]
    inverter = Inverter(checkpoint, SETTINGS.model_copy(update={"null": False}))
    for _ in range(2):
        for _ in range(WINDOW_FRAMES // HOP):
            inverter.advance(hop(behavior=given))
        told = [sentence for name, sentence in inverter.notes() if name == "behavior"]
        assert len(told) == len(expected)
        assert all(map(str.startswith, told, expected))
        inverter.begin()


def test_frames_without_any_activity_are_taken_in(checkpoint):
    inverter = Inverter(checkpoint, SETTINGS)
    inverter.advance(silence(inverter, HOP))
    inverter.refine(inverter.live, NOW)
    assert inverter.live.activity.isnan().all()
    assert inverter.live.frames().isfinite().all()


def test_steps_stop_at_the_deadline_or_the_limit_and_one_is_always_taken(checkpoint):
    settings = SETTINGS.model_copy(update={"max_steps": 7})
    inverter = Inverter(checkpoint, settings)
    inverter.advance(hop())
    assert inverter.refine(inverter.live, NOW) == 1
    assert inverter.refine(inverter.live, time.monotonic() + 60) == 7


def test_the_temperature_of_the_settings_outweighs_the_checkpoints(checkpoint):
    settings = SETTINGS.model_copy(update={"temperature": 0.5})
    told, own = Inverter(checkpoint, settings), Inverter(checkpoint, SETTINGS)
    assert checkpoint.calibration.temperature == 0.25
    assert torch.equal(told.live.problem.weight, 2 * own.live.problem.weight)


def test_the_seed_decides_who_is_held_out_and_what_is_found(checkpoint):
    one, same = (refined(checkpoint, hop())[0] for _ in range(2))
    assert torch.equal(one, same)
    other = SETTINGS.model_copy(update={"seed": 1})
    assert not torch.equal(
        Inverter(checkpoint, other).held_out, Inverter(checkpoint, SETTINGS).held_out
    )


# -- where it runs ------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused_in_words():
    checkpoint = trained_encoder.untrained(Path("none"), list(range(N)), (20, 30))
    settings = SETTINGS.model_copy(update={"device": "cuda"})
    with pytest.raises(UserError, match=r"finds no such device.*invert\.device"):
        Inverter(checkpoint, settings)
