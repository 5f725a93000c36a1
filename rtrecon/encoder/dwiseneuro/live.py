"""The published encoder as the live inversion asks it: few windows, from coefficients.

Each of its windows answers for sixteen frames, so that a rolling window of movie needs
few of them: every `stride_frames` frames a pair, for the even frames and the odd ones,
back from the newest. All of them end inside the window; what only windows in the frozen
past would tell is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.encoder.dwiseneuro.inference import (
    SPAN,
    STEP,
    WINDOW,
    Published,
    Windows,
    blended,
    padded,
)
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.protocol import VISIBLE
from rtrecon.encoder.spectrum import CONTRAST, GRAY, spectrum
from rtrecon.protocol.behavior import BEHAVIOR

STRIDE_FRAMES = 16  # two windows or more answer for most frames
_KEPT = ("gain", "floor", "reach")  # behaviour is kept with the calibration
STRIDES = range(1, SPAN + 2)  # at which every frame of a window is answered for
_GPU_WINDOWS = 16  # at once; more than a live window has at the usual stride


@dataclass(frozen=True)
class Fit:
    """What makes a published encoder speak of one recording.

    behavior_mean, behavior_sd (4,): of behaviour, in the order of `BEHAVIOR`, which it
    is told z-scored. gain, floor (n,): recorded activity per published, and what of it
    no movie explains; the floor is above 0. reach (SPAN,): see `measured_reach`.
    """

    behavior_mean: Tensor
    behavior_sd: Tensor
    gain: Tensor
    floor: Tensor
    reach: Tensor

    def to(self, device: torch.device) -> Fit:
        """Return it on a device."""
        return Fit(**{key: value.to(device) for key, value in vars(self).items()})


class LivePublished:
    """A `LiveEncoder` that is a published encoder, on its device.

    On a GPU it computes in bfloat16 where that has it, activity itself in float32. On
    the CPU it goes forward twice, and needs the memory of two windows only.
    """

    past_frames = SPAN - 1

    def __init__(
        self, published: Published, fit: Fit, stride_frames: int = STRIDE_FRAMES
    ) -> None:
        self.published, self.stride_frames = published, stride_frames
        self.n_neurons = published.n_neurons
        self._fit = fit
        self._settle(published.device)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._basis.device

    def expect(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) from frames (past_frames + T, C); see `LiveEncoder`."""
        windows = self._windows(len(frames))
        movie = padded(pixels(frames, self._basis))[None]
        answers = self.published.answers(movie, self._told(behavior), windows)
        return answers[0] * self._fit.gain + self._fit.floor

    def reach(self) -> Tensor:
        """Return (SPAN, n), the same for all neurons; see `LiveEncoder`."""
        return self._fit.reach[:, None].expand(-1, self.n_neurons)

    def ease(self) -> str:
        """Let fewer windows through at once; see `LiveEncoder`."""
        most = max((len(laid.frames) for laid in self._laid.values()), default=1)
        return self.published.ease(most)

    def to(self, device: torch.device, /) -> LivePublished:
        """Move it to a device, with the precision that suits it, and return it."""
        numbered = torch.empty(0, device=device).device
        if numbered != self.device:
            self._settle(numbered)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps; the encoder lies in files of its own."""
        return {name: getattr(self._fit, name).cpu() for name in _KEPT}

    def _settle(self, device: torch.device) -> None:
        """Lie on a device, and compute as suits it."""
        published = self.published.to(device)
        on_gpu = device.type == "cuda"
        half = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        published.dtype = torch.bfloat16 if half else torch.float32
        published.windows, published.recompute = (
            _GPU_WINDOWS if on_gpu else 2,
            not on_gpu,
        )
        self._fit = self._fit.to(device)
        self._basis = spectrum().basis.to(device)
        self._n_told = len(published.usual)
        self._laid: dict[int, Windows] = {}  # by the number of frames

    def _windows(self, n_frames: int) -> Windows:
        if n_frames not in self._laid:
            frames = answering(n_frames, self.stride_frames)
            laid = blended(frames, n_frames, self.past_frames)
            self._laid[n_frames] = laid.to(self.device)
        return self._laid[n_frames]

    def _told(self, behavior: Tensor) -> Tensor:
        """Return (1, T, k, 1, 1), as it was recorded, from (T, 4) z-scored."""
        raw = self._fit.behavior_mean + self._fit.behavior_sd * behavior
        return raw[None, :, : self._n_told, None, None]


def answering(n_frames: int, stride_frames: int) -> Tensor:
    """Return (windows, 16): windows that answer for all frames after the past.

    n_frames: past and window together. A pair of windows ends at the newest frame and
    at the one before it, another pair every `stride_frames` earlier, none in the past.
    """
    newest = torch.arange(n_frames - SPAN, -1, -stride_frames)
    starts = torch.cat([newest, newest - 1]).clamp(min=0).unique()
    return starts[:, None] + STEP * torch.arange(WINDOW)


def pixels(frames: Tensor, basis: Tensor) -> Tensor:
    """Return (T, 36, 64), about 0..255, of frames (T, C); linear, not cut off."""
    return (frames @ basis * CONTRAST + GRAY).view(-1, *VISIBLE)


def measured_reach(published: Published, prior: Prior) -> Tensor:
    """Return (SPAN,): how much of what a frame does it does so many frames later.

    The energy of the derivative, for a movie as the prior makes them and neurons of
    random signs. Windows take every other frame; so does this. That they look ahead is
    left out: activity before a frame cannot tell of it, whatever an encoder says.
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1 + SPAN, len(prior.mean), generator=generator)
    movie = pixels(prior.unroll(z, prior.mean), spectrum().basis).requires_grad_(True)
    signs = torch.randn(published.n_neurons, generator=generator).sign()
    unknown = torch.full((SPAN, len(BEHAVIOR)), torch.nan)
    energy, count = torch.zeros(2, SPAN)
    for at in range(0, SPAN, STEP):
        summed = published.rates(movie, unknown)[at] @ signs.to(published.device)
        (slope,) = torch.autograd.grad(summed, movie)
        energy[: at + 1] += slope[: at + 1].square().sum((1, 2)).flip(0)
        count[: at + 1 : STEP] += 1
    mean = energy / count.clamp(min=1)
    return mean / mean.sum().clamp(min=torch.finfo(mean.dtype).tiny)
