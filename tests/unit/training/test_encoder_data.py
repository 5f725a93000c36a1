"""Concatenated trials are independent, and unknown activity is left out."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.compact import MEMORY_FRAMES, CompactEncoder
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.encoder_data import EncoderData, concatenate_trials
from rtrecon.training.score import compute_correlation, predict_activity

N_COEF, N = 6, 3
LENGTHS = [40, MEMORY_FRAMES, 55]


def make_trial(n_frames: int, seed: int) -> EncoderData:
    torch.manual_seed(seed)
    return EncoderData(
        coef=torch.randn(n_frames, N_COEF),
        behavior=torch.randn(n_frames, len(BEHAVIOR)),
        activity=torch.rand(n_frames, N),
    )


@pytest.fixture
def trials():
    return [make_trial(n_frames, seed) for seed, n_frames in enumerate(LENGTHS)]


@pytest.fixture
def model():
    torch.manual_seed(9)
    model = CompactEncoder(N_COEF, N)
    model.spatial_filters = torch.randn(2 * N, N_COEF)
    torch.nn.init.normal_(model.temporal_weights)
    return model


def test_trials_are_concatenated(trials):
    joined = concatenate_trials(iter(trials), 200)
    assert len(joined) == sum(LENGTHS)
    assert torch.equal(joined.coef, torch.cat([t.coef for t in trials]))
    assert torch.equal(joined.behavior, torch.cat([t.behavior for t in trials]))


def test_predictions_of_a_trial_do_not_depend_on_the_trial_before(trials, model):
    joined = concatenate_trials(trials, sum(LENGTHS))
    is_known = ~joined.activity[MEMORY_FRAMES - 1 :].isnan().any(1)
    apart = torch.cat([torch.from_numpy(predict_activity(model, t)) for t in trials])
    together = torch.from_numpy(predict_activity(model, joined))
    assert is_known.sum() == sum(n - MEMORY_FRAMES + 1 for n in LENGTHS)
    # Matrix products of other sizes sum 6 float32 terms in another order; the log and
    # the power of the nonlinearity amplify this by less than 100.
    torch.testing.assert_close(together[is_known], apart, rtol=1e-4, atol=1e-5)
    recorded = torch.cat([t.activity[MEMORY_FRAMES - 1 :] for t in trials])
    assert torch.equal(joined.activity[MEMORY_FRAMES - 1 :][is_known], recorded)


def test_concatenation_does_not_change_the_trials(trials):
    before = [t.activity.clone() for t in trials]
    concatenate_trials(trials, sum(LENGTHS))
    for given, was in zip(trials, before, strict=True):
        assert torch.equal(given.activity, was)


@pytest.mark.parametrize("n_frames", [1, 7, 30, 100])
def test_segments_predict_every_frame_once(n_frames):
    whole = make_trial(60, 3)
    predicted = [
        part.coef[MEMORY_FRAMES - 1 :] for part in whole.iterate_segments(n_frames)
    ]
    assert torch.equal(torch.cat(predicted), whole.coef[MEMORY_FRAMES - 1 :])
    assert max(len(part) for part in predicted) <= n_frames


def test_lost_activity_is_left_out_of_correlations(model):
    whole = make_trial(80, 4)
    lost = whole.activity.clone()
    lost[20:50, 1] = torch.nan
    kept = torch.cat([torch.arange(MEMORY_FRAMES - 1, 20), torch.arange(50, 80)])
    r = compute_correlation(model, EncoderData(whole.coef, whole.behavior, lost))
    full = compute_correlation(model, whole)
    predicted = torch.from_numpy(predict_activity(model, whole))[
        kept - MEMORY_FRAMES + 1, 1
    ]
    both = torch.stack([predicted, whole.activity[kept, 1]]).double()  # sums as exact
    assert r[1] == pytest.approx(float(torch.corrcoef(both)[0, 1]), abs=1e-9)
    assert r[[0, 2]] == pytest.approx(full[[0, 2]])


def test_concatenating_no_trials_raises():
    with pytest.raises(LookupError):
        concatenate_trials([], 10)
