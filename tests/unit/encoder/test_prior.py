"""The prior against worlds that it was made for, plain loops and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.prior import RHO_LIMITS, Prior, fit_prior

CLIP_FRAMES = 100
MEAN = torch.tensor([3.0, -1.0, 0.0, 10.0])
RHO = torch.tensor([0.0, 0.5, 0.9, 0.98])
Q = torch.tensor([1.0, 2.0, 0.3, 0.1])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def known(doubt=0.4):
    return Prior(MEAN, RHO, Q, doubt=torch.full((4,), doubt))


def walk(n_frames, seed):
    """Frames (n_frames, 4) of that very prior, from its stationary state."""
    rng = np.random.default_rng(seed)
    mean, rho, q = (values.double().numpy() for values in (MEAN, RHO, Q))
    state = rng.normal(size=4) * q / np.sqrt(1 - rho**2)
    frames = np.empty((n_frames, 4))
    for t in range(n_frames):
        state = rho * state + q * rng.normal(size=4)
        frames[t] = mean + state
    return frames


def test_a_known_process_is_recovered():
    clips = [walk(CLIP_FRAMES, seed) for seed in range(400)]
    coef = torch.from_numpy(np.concatenate(clips)).float()
    prior = fit_prior(coef, CLIP_FRAMES)
    spread = known().variance.sqrt()
    np.testing.assert_allclose((prior.mean - MEAN) / spread, np.zeros(4), atol=0.1)
    np.testing.assert_allclose(prior.rho, RHO, atol=0.02)
    np.testing.assert_allclose(prior.q, Q, rtol=0.05)
    np.testing.assert_allclose(prior.variance, known().variance, rtol=0.1)
    assert (prior.doubt < prior.variance.sqrt()).all()
    assert (prior.doubt > 0).all()


def test_cuts_between_clips_do_not_count_as_change():
    still = torch.randn(50, 1, 3).expand(50, CLIP_FRAMES, 3).reshape(-1, 3)
    prior = fit_prior(still, CLIP_FRAMES)
    np.testing.assert_allclose(prior.rho, np.full(3, RHO_LIMITS[1]), rtol=1e-6)


def test_what_never_changes_or_alternates_keeps_the_prior_finite():
    coef = torch.zeros(4 * CLIP_FRAMES, 2)
    coef[::2, 1], coef[1::2, 1] = 1.0, -1.0
    prior = fit_prior(coef, CLIP_FRAMES)
    for values in (prior.mean, prior.rho, prior.q, prior.doubt, prior.variance):
        assert torch.isfinite(values).all()
    assert prior.rho[1] == RHO_LIMITS[0]


def test_unrolling_is_a_plain_loop():
    prior, z = known(), torch.randn(31, 4)
    before = torch.randn(4)
    state = before + prior.doubt * z[0]
    for t, frame in enumerate(prior.unroll(z, before)):
        state = MEAN + RHO * (state - MEAN) + Q * z[1 + t]
        np.testing.assert_allclose(frame, state, rtol=1e-4, atol=1e-5)


def test_without_innovation_the_movie_fades_towards_the_mean():
    before = MEAN + 5
    frames = known().unroll(torch.zeros(31, 4), before)
    expected = MEAN + 5 * RHO ** torch.arange(1, 31)[:, None]
    np.testing.assert_allclose(frames, expected, rtol=1e-4)


def test_unrolled_white_noise_has_the_stationary_variance():
    frames = known().unroll(torch.randn(20_001, 4), MEAN)[1000:]
    np.testing.assert_allclose(frames.var(0), known().variance, rtol=0.25)


def test_a_smooth_movie_is_judged_by_what_becomes_of_it_not_by_its_next_frame():
    """Frames that all but equal the next have nothing to do with those 0.5 s later."""
    lags = np.abs(np.subtract.outer(np.arange(CLIP_FRAMES), np.arange(CLIP_FRAMES)))
    moving = np.exp(-(lags**2) / (2 * 6.0**2)) + 1e-6 * np.eye(CLIP_FRAMES)
    clips = np.random.default_rng(0).multivariate_normal(
        np.zeros(CLIP_FRAMES), moving, 400, method="cholesky"
    )
    prior = fit_prior(torch.from_numpy(clips.reshape(-1, 1)).float(), CLIP_FRAMES)
    assert moving[0, 1] > 0.98
    assert moving[0, 15] < 0.05
    assert 0.85 < prior.rho[0] < 0.9
