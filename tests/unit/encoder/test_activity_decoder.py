"""The decoder uses no activity later than a frame's look-ahead, and NaN is the mean."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.activity_decoder import (
    BINS,
    LOOK_AHEADS,
    PAST_FRAMES,
    split_by_look_ahead,
)
from tests.support.decoder_world import N_COEF, N_NEURONS, make_decoder

N_FRAMES = 40


@pytest.fixture(scope="module")
def decoder():
    return make_decoder()


@pytest.fixture(scope="module")
def activity():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(PAST_FRAMES + N_FRAMES, N_NEURONS, generator=generator)


def decode(decoder, activity):
    return decoder.decode_frames(decoder.project_activity(activity))


@pytest.mark.parametrize("n_frames", range(1, 41))
def test_every_frame_has_one_look_ahead_the_largest_with_activity(n_frames):
    ages = {}
    for index, start, stop in split_by_look_ahead(n_frames):
        ages |= {n_frames - 1 - t: LOOK_AHEADS[index] for t in range(start, stop)}
    assert sorted(ages) == list(range(n_frames))
    for age, look_ahead in ages.items():
        assert look_ahead == max(each for each in LOOK_AHEADS if each <= age)


def test_bins_lie_within_the_past_and_the_look_ahead():
    for look_ahead, bins in BINS.items():
        assert min(start for start, _ in bins) >= -PAST_FRAMES
        assert max(stop for _, stop in bins) == look_ahead + 1


def test_activity_changes_only_frames_whose_bins_contain_it(decoder, activity):
    changed = activity.clone()
    changed[PAST_FRAMES + 20] += 1
    before, after = decode(decoder, activity), decode(decoder, changed)
    moved = (before - after).abs().amax(1) > 1e-6
    assert moved[20]
    assert not moved[: 20 - 12].any()
    assert not moved[20 + PAST_FRAMES + 1 :].any()


def test_the_newest_frames_are_decoded_from_activity_so_far(decoder, activity):
    whole = decode(decoder, activity)
    cut = decode(decoder, activity[:-5])
    # Of frames that are 12 old or older in both, later activity changes nothing.
    torch.testing.assert_close(cut[:-12], whole[: len(cut) - 12])
    assert (cut[-1] - whole[len(cut) - 1]).abs().max() > 1e-3


def test_missing_activity_counts_as_the_mean(decoder, activity):
    lossy, filled = activity.clone(), activity.clone()
    lossy[::3, 2] = torch.nan
    filled[::3, 2] = decoder.activity_mean[2]
    assert torch.equal(decode(decoder, lossy), decode(decoder, filled))
    silent = torch.full_like(activity, torch.nan)
    torch.testing.assert_close(
        decode(decoder, silent), decoder.offset.expand(N_FRAMES, N_COEF)
    )
