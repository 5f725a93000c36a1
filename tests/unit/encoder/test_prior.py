"""The prior is fitted correctly and generates movies as a plain loop does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.prior import AR_LIMITS, Prior, fit_prior

CLIP_FRAMES = 100
MEAN = torch.tensor([3.0, -1.0, 0.0, 10.0])
RHO = torch.tensor([0.0, 0.5, 0.9, 0.98])
Q = torch.tensor([1.0, 2.0, 0.3, 0.1])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_prior(frame_error_sd=0.4):
    return Prior(MEAN, RHO, Q, frame_error_sd=torch.full((4,), frame_error_sd))


def simulate_frames(n_frames, seed):
    """Frames (n_frames, 4) of that prior, from its stationary state."""
    rng = np.random.default_rng(seed)
    mean, rho, q = (values.double().numpy() for values in (MEAN, RHO, Q))
    state = rng.normal(size=4) * q / np.sqrt(1 - rho**2)
    frames = np.empty((n_frames, 4))
    for t in range(n_frames):
        state = rho * state + q * rng.normal(size=4)
        frames[t] = mean + state
    return frames


def test_fitting_recovers_a_known_prior():
    clips = [simulate_frames(CLIP_FRAMES, seed) for seed in range(400)]
    coef = torch.from_numpy(np.concatenate(clips)).float()
    prior = fit_prior(coef, CLIP_FRAMES)
    spread = make_prior().variance.sqrt()
    np.testing.assert_allclose((prior.mean - MEAN) / spread, np.zeros(4), atol=0.1)
    np.testing.assert_allclose(prior.ar_coefficient, RHO, atol=0.02)
    np.testing.assert_allclose(prior.innovation_sd, Q, rtol=0.05)
    np.testing.assert_allclose(prior.variance, make_prior().variance, rtol=0.1)
    assert (prior.frame_error_sd < prior.variance.sqrt()).all()
    assert (prior.frame_error_sd > 0).all()


def test_cuts_between_clips_do_not_affect_the_fit():
    still = torch.randn(50, 1, 3).expand(50, CLIP_FRAMES, 3).reshape(-1, 3)
    prior = fit_prior(still, CLIP_FRAMES)
    np.testing.assert_allclose(
        prior.ar_coefficient, np.full(3, AR_LIMITS[1]), rtol=1e-6
    )


def test_constant_and_alternating_movies_give_a_finite_prior():
    coef = torch.zeros(4 * CLIP_FRAMES, 2)
    coef[::2, 1], coef[1::2, 1] = 1.0, -1.0
    prior = fit_prior(coef, CLIP_FRAMES)
    for values in (
        prior.mean,
        prior.ar_coefficient,
        prior.innovation_sd,
        prior.frame_error_sd,
        prior.variance,
    ):
        assert torch.isfinite(values).all()
    assert prior.ar_coefficient[1] == AR_LIMITS[0]


def test_generated_frames_equal_those_of_a_plain_loop():
    prior, z = make_prior(), torch.randn(31, 4)
    before = torch.randn(4)
    state = before + prior.frame_error_sd * z[0]
    for t, frame in enumerate(prior.generate_frames(z, before)):
        state = MEAN + RHO * (state - MEAN) + Q * z[1 + t]
        # 31 float32 steps with values up to 20.
        np.testing.assert_allclose(frame, state, rtol=1e-4, atol=1e-4)


def test_without_innovations_the_movie_decays_to_the_mean():
    before = MEAN + 5
    frames = make_prior().generate_frames(torch.zeros(31, 4), before)
    expected = MEAN + 5 * RHO ** torch.arange(1, 31)[:, None]
    np.testing.assert_allclose(frames, expected, rtol=1e-4)


def test_white_innovations_give_the_stationary_variance():
    frames = make_prior().generate_frames(torch.randn(20_001, 4), MEAN)[1000:]
    np.testing.assert_allclose(frames.var(0), make_prior().variance, rtol=0.25)


def test_the_fit_looks_at_a_whole_window_not_at_the_next_frame_alone():
    """In this movie frames nearly equal the next, and not at all those 0.5 s later."""
    lags = np.abs(np.subtract.outer(np.arange(CLIP_FRAMES), np.arange(CLIP_FRAMES)))
    moving = np.exp(-(lags**2) / (2 * 6.0**2)) + 1e-6 * np.eye(CLIP_FRAMES)
    clips = np.random.default_rng(0).multivariate_normal(
        np.zeros(CLIP_FRAMES), moving, 400, method="cholesky"
    )
    prior = fit_prior(torch.from_numpy(clips.reshape(-1, 1)).float(), CLIP_FRAMES)
    assert moving[0, 1] > 0.98
    assert moving[0, 15] < 0.05
    assert 0.85 < prior.ar_coefficient[0] < 0.9
