"""DwiseNeuro for the live inversion: few windows, from DCT coefficients.

One window of the network predicts sixteen frames, so a rolling window of movie needs
few of them: one pair every `stride_frames` frames, back from the newest, one for the
even frames and one for the odd. All of them end inside the rolling window; windows that
end in the frozen past are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.dwiseneuro.inference import (
    FRAME_STEP,
    WINDOW_FRAMES,
    WINDOW_SPAN_FRAMES,
    DwiseNeuroEncoder,
    WindowBlend,
    blend_windows,
    pad_frames,
)
from rtrecon.encoder.prior import Prior
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.space import CONTRAST_LEVELS, MIDDLE_LEVEL
from rtrecon.stimulus_space.video import IMAGE_SHAPE

STRIDE_FRAMES = 16  # two windows or more predict most frames
ALLOWED_STRIDES = range(1, WINDOW_SPAN_FRAMES + 2)  # so that every frame is predicted
_SAVED_FIELDS = ("gain", "baseline", "lag_weights")  # the rest is in the calibration
_GPU_MAX_WINDOWS = 16  # at once; more than a live window has at the default stride


@dataclass(frozen=True)
class RecordingFit:
    """Parameters that fit a published encoder to one recording.

    behavior_mean, behavior_sd (4,): to undo the standardization of behavior, in the
    order of `BEHAVIOR`. gain (n,): recorded activity per predicted. baseline (n,) > 0:
    activity that no movie explains. lag_weights (WINDOW_SPAN_FRAMES,): see
    `measure_lag_weights`.
    """

    behavior_mean: Tensor
    behavior_sd: Tensor
    gain: Tensor
    baseline: Tensor
    lag_weights: Tensor

    def to(self, device: torch.device) -> RecordingFit:
        """Return a copy on a device."""
        return RecordingFit(
            **{key: value.to(device) for key, value in vars(self).items()}
        )


class LiveDwiseNeuro:
    """A `LiveEncoder` that runs DwiseNeuro, fitted to one recording.

    On a GPU with bfloat16 the network computes in it; activity is float32. On the CPU
    the forward pass runs twice and needs the memory of two windows only.
    """

    past_frames = WINDOW_SPAN_FRAMES - 1

    def __init__(
        self,
        encoder: DwiseNeuroEncoder,
        fit: RecordingFit,
        stride_frames: int = STRIDE_FRAMES,
    ) -> None:
        self.dwiseneuro, self.stride_frames = encoder, stride_frames
        self.n_neurons = encoder.n_neurons
        self.fit = fit
        self._move_to(encoder.device)

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return self._basis.device

    def predict(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) from frames (past_frames + T, C); see `LiveEncoder`."""
        windows = self._get_windows(len(frames))
        movie = pad_frames(coefficients_to_pixels(frames, self._basis))[None]
        rates = self.dwiseneuro.predict_windows(
            movie, self._behavior_input(behavior), windows
        )
        return rates[0] * self.fit.gain + self.fit.baseline

    def lag_weights(self) -> Tensor:
        """Return (WINDOW_SPAN_FRAMES, n), equal for all neurons; see `LiveEncoder`."""
        return self.fit.lag_weights[:, None].expand(-1, self.n_neurons)

    def reduce_memory(self) -> str:
        """Compute fewer windows at once; see `LiveEncoder`."""
        counts = [len(windows.frame_indices) for windows in self._window_cache.values()]
        n_windows = max(counts, default=1)
        return self.dwiseneuro.reduce_memory(n_windows)

    def to(self, device: torch.device, /) -> LiveDwiseNeuro:
        """Move it to a device, choose the precision for it, and return it."""
        numbered = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0"
        if numbered != self.device:
            self._move_to(numbered)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors for a checkpoint; the network stays in its own files."""
        return {name: getattr(self.fit, name).cpu() for name in _SAVED_FIELDS}

    def _move_to(self, device: torch.device) -> None:
        """Move to a device and set precision and memory use for it."""
        encoder = self.dwiseneuro.to(device)
        on_gpu = device.type == "cuda"
        has_bfloat16 = on_gpu and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        encoder.dtype = torch.bfloat16 if has_bfloat16 else torch.float32
        encoder.max_windows = _GPU_MAX_WINDOWS if on_gpu else 2
        encoder.recompute_forward = not on_gpu
        self.fit = self.fit.to(device)
        self._basis = make_dct_basis().vectors.to(device)
        self._n_behavior = len(encoder.default_behavior)
        self._window_cache: dict[int, WindowBlend] = {}  # by the number of frames

    def _get_windows(self, n_frames: int) -> WindowBlend:
        if n_frames not in self._window_cache:
            frames = select_windows(n_frames, self.stride_frames)
            windows = blend_windows(frames, n_frames, self.past_frames)
            self._window_cache[n_frames] = windows.to(self.device)
        return self._window_cache[n_frames]

    def _behavior_input(self, behavior: Tensor) -> Tensor:
        """Return behavior as recorded (1, T, k, 1, 1) from standardized (T, 4)."""
        raw = self.fit.behavior_mean + self.fit.behavior_sd * behavior
        return raw[None, :, : self._n_behavior, None, None]


def select_windows(n_frames: int, stride_frames: int) -> Tensor:
    """Return (windows, 16): windows that predict all frames after the past.

    n_frames: past and window together. A pair of windows ends at the newest frame and
    at the one before it, another pair every `stride_frames` earlier, none in the past.
    """
    newest = torch.arange(n_frames - WINDOW_SPAN_FRAMES, -1, -stride_frames)
    starts = torch.cat([newest, newest - 1]).clamp(min=0).unique()
    return starts[:, None] + FRAME_STEP * torch.arange(WINDOW_FRAMES)


def coefficients_to_pixels(frames: Tensor, basis: Tensor) -> Tensor:
    """Return (T, 36, 64), about 0..255, of frames (T, C); linear, not clipped."""
    return (frames @ basis * CONTRAST_LEVELS + MIDDLE_LEVEL).view(-1, *IMAGE_SHAPE)


def measure_lag_weights(encoder: DwiseNeuroEncoder, prior: Prior) -> Tensor:
    """Return (WINDOW_SPAN_FRAMES,): a frame's share of influence at each lag.

    Measured as the energy of the derivative, for a movie drawn from the prior and
    random signs of neurons. Windows take every other frame, so odd lags are 0. The
    network also looks ahead; that part is left out, because activity before a frame
    carries no information about it, whatever the network computes.
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1 + WINDOW_SPAN_FRAMES, len(prior.mean), generator=generator)
    movie = coefficients_to_pixels(
        prior.generate_frames(z, prior.mean), make_dct_basis().vectors
    ).requires_grad_(True)
    signs = torch.randn(encoder.n_neurons, generator=generator).sign()
    behavior = torch.full((WINDOW_SPAN_FRAMES, len(BEHAVIOR)), torch.nan)
    energy, count = torch.zeros(2, WINDOW_SPAN_FRAMES)
    for index in range(0, WINDOW_SPAN_FRAMES, FRAME_STEP):
        weighted_rate = encoder.predict_rates(movie, behavior)[index] @ signs.to(
            encoder.device
        )
        (gradient,) = torch.autograd.grad(weighted_rate, movie)
        energy[: index + 1] += gradient[: index + 1].square().sum((1, 2)).flip(0)
        count[: index + 1 : FRAME_STEP] += 1
    mean = energy / count.clamp(min=1)
    return mean / mean.sum().clamp(min=torch.finfo(mean.dtype).tiny)
