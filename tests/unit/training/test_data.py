"""Trials joined: none remembers another, and what is not known is not judged."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.data import Data, join
from rtrecon.training.score import correlation, predict

N_COEF, N = 6, 3
LENGTHS = [40, MEMORY, 55]


def trial(n_frames: int, seed: int) -> Data:
    torch.manual_seed(seed)
    return Data(
        coef=torch.randn(n_frames, N_COEF),
        behavior=torch.randn(n_frames, len(BEHAVIOR)),
        activity=torch.rand(n_frames, N),
    )


@pytest.fixture
def trials():
    return [trial(n_frames, seed) for seed, n_frames in enumerate(LENGTHS)]


@pytest.fixture
def model():
    torch.manual_seed(9)
    model = Compact(N_COEF, N)
    model.filters = torch.randn(2 * N, N_COEF)
    torch.nn.init.normal_(model.mix)
    return model


def test_trials_lie_one_after_the_other(trials):
    joined = join(iter(trials), 200)
    assert len(joined) == sum(LENGTHS)
    torch.testing.assert_close(joined.coef, torch.cat([t.coef for t in trials]))
    torch.testing.assert_close(joined.behavior, torch.cat([t.behavior for t in trials]))


def test_what_is_judged_depends_on_its_own_trial_alone(trials, model):
    joined = join(trials, sum(LENGTHS))
    judged = ~joined.activity[MEMORY - 1 :].isnan().any(1)
    apart = torch.cat([torch.from_numpy(predict(model, t)) for t in trials])
    together = torch.from_numpy(predict(model, joined))
    assert judged.sum() == sum(n - MEMORY + 1 for n in LENGTHS)
    torch.testing.assert_close(together[judged], apart)
    known = torch.cat([t.activity[MEMORY - 1 :] for t in trials])
    torch.testing.assert_close(joined.activity[MEMORY - 1 :][judged], known)


def test_the_trials_given_stay_as_they_are(trials):
    before = [t.activity.clone() for t in trials]
    join(trials, sum(LENGTHS))
    for given, was in zip(trials, before, strict=True):
        torch.testing.assert_close(given.activity, was)


@pytest.mark.parametrize("n_frames", [1, 7, 30, 100])
def test_stretches_answer_for_every_frame_once(n_frames):
    whole = trial(60, 3)
    answered = [part.coef[MEMORY - 1 :] for part in whole.parts(n_frames)]
    torch.testing.assert_close(torch.cat(answered), whole.coef[MEMORY - 1 :])
    assert max(len(part) for part in answered) <= n_frames


def test_lost_activity_does_not_count(model):
    whole = trial(80, 4)
    lost = whole.activity.clone()
    lost[20:50, 1] = torch.nan
    kept = torch.cat([torch.arange(MEMORY - 1, 20), torch.arange(50, 80)])
    found = correlation(model, Data(whole.coef, whole.behavior, lost))
    full = correlation(model, whole)
    predicted = torch.from_numpy(predict(model, whole))[kept - MEMORY + 1, 1]
    both = torch.stack([predicted, whole.activity[kept, 1]])
    assert found[1] == pytest.approx(float(torch.corrcoef(both)[0, 1]), abs=1e-5)
    assert found[[0, 2]] == pytest.approx(full[[0, 2]])


def test_nothing_is_no_data():
    with pytest.raises(LookupError):
        join([], 10)
