"""Prior of movies: each DCT coefficient follows a first-order autoregression.

c_t = mean + rho (c_{t-1} - mean) + q z_t with innovations z ~ N(0, 1). It is causal, so
it can run live. The inversion changes the innovations z, which are white: its steps
first move the movie in likely directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.encoder.window_prior import WindowPrior

AR_LIMITS = (0.0, 0.995)
MAX_LAG_FRAMES = 36  # lags that the fit looks at: about a live window
_N_CANDIDATES = 1000
INITIAL_ERROR_FRACTION = 0.5  # of each coefficient's s.d., until errors are measured


@dataclass(frozen=True)
class Prior:
    """Parameters of the autoregression, each (n_coef,), fitted to training movies.

    ar_coefficient: rho. innovation_sd: q. frame_error_sd: s.d. of the error of a
    reconstructed frame. A window starts from the last frame before it and trusts that
    frame only as far as this; with full trust, slow coefficients such as brightness
    could never be corrected.
    """

    mean: Tensor
    ar_coefficient: Tensor
    innovation_sd: Tensor
    frame_error_sd: Tensor

    @property
    def variance(self) -> Tensor:
        """(n_coef,) stationary variance."""
        return self.innovation_sd**2 / (1 - self.ar_coefficient**2)

    def for_window(self, n_frames: int) -> WindowPrior:
        """Return the same prior for each frame of a window."""
        return WindowPrior(
            previous_mean=self.mean,
            mean=self.mean.expand(n_frames, -1),
            ar_coefficient=self.ar_coefficient,
            innovation_sd=self.innovation_sd.expand(n_frames, -1),
            frame_error_sd=self.frame_error_sd,
        )

    def generate_frames(self, innovations: Tensor, previous_frame: Tensor) -> Tensor:
        """Return frames (T, n_coef), see `WindowPrior.generate_frames`."""
        window = self.for_window(len(innovations) - 1)
        return window.generate_frames(innovations, previous_frame)


def fit_prior(
    coef: Tensor, clip_frames: int, max_lag_frames: int = MAX_LAG_FRAMES
) -> Prior:
    """Fit a prior to training movies (T, n_coef) that are cut every `clip_frames`.

    rho is the value whose powers come closest to a coefficient's autocorrelation over
    a whole window. The first lag alone would give too large a rho: movies move
    smoothly, and what hardly changes from frame to frame may be gone within ten.
    """
    n_clips = len(coef) // clip_frames
    clips = coef[: n_clips * clip_frames].reshape(n_clips, clip_frames, -1)
    mean = clips.mean((0, 1))
    ar_coefficient, variance = fit_autoregression(clips - mean, max_lag_frames)
    innovation_sd = (variance * (1 - ar_coefficient**2)).sqrt()
    frame_error_sd = INITIAL_ERROR_FRACTION * variance.sqrt()
    return Prior(mean, ar_coefficient, innovation_sd, frame_error_sd)


def fit_autoregression(
    clips: Tensor, max_lag_frames: int = MAX_LAG_FRAMES
) -> tuple[Tensor, Tensor]:
    """Return rho and variance, (n_coef,) each, of clips (clips, T, n_coef) about 0."""
    correlation, variance = _compute_autocorrelation(clips, max_lag_frames)
    lags = torch.arange(1, 1 + len(correlation))
    candidates = torch.linspace(*AR_LIMITS, _N_CANDIDATES)
    powers = candidates[:, None] ** lags
    # Sum over lags of (powers - correlation)^2, without the term that rho leaves alone.
    misfit = powers.square().sum(1)[:, None] - 2 * powers @ correlation
    return candidates[misfit.argmin(0)], variance


def _compute_autocorrelation(
    clips: Tensor, max_lag_frames: int
) -> tuple[Tensor, Tensor]:
    """Return (lags, n_coef) for lags 1, 2, ... and the variance (n_coef,)."""
    variance = clips.square().mean((0, 1)) + 1e-6
    max_lag = min(max_lag_frames, clips.shape[1] - 1)
    products = [
        (clips[:, lag:] * clips[:, :-lag]).mean((0, 1)) for lag in range(1, 1 + max_lag)
    ]
    return torch.stack(products) / variance, variance
