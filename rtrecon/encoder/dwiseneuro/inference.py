"""The published encoder at work: windows, padding, blending, the mean of models.

It sees 16 frames, every other one, and answers for each of them. A longer movie is cut
into such windows, one ending at every frame; where several answer for a frame, their
mean counts. Windows look ahead: what a frame is told to cause depends on later frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rtrecon.core.errors import UserError
from rtrecon.encoder.dwiseneuro.author_files import Model, read_published
from rtrecon.encoder.dwiseneuro.convert import (
    SUFFIX,
    read_converted,
    require_same_neurons,
)
from rtrecon.encoder.dwiseneuro.network import DwiseNeuro, fold
from rtrecon.encoder.protocol import PADDED, VISIBLE
from rtrecon.protocol.behavior import BEHAVIOR

WINDOW, STEP = 16, 2  # frames seen at once, and how far apart
SPAN = STEP * (WINDOW - 1) + 1  # frames from the first of a window to its last
_MARGIN = (PADDED[0] - VISIBLE[0]) // 2  # rows of padding, above and below


@dataclass(frozen=True)
class Windows:
    """Windows of a movie that are asked, and how their answers are blended.

    frames: (windows, 16), places in the movie. blend: (told, windows * 16), by frame to
    be told of: the share of each answer; none at all where no window tells.
    """

    frames: Tensor
    blend: Tensor

    def to(self, device: torch.device) -> Windows:
        """Return them on a device."""
        return Windows(self.frames.to(device), self.blend.to(device))

    def split(self, size: int) -> Iterator[Windows]:
        """Yield so many at a time; what they make of a frame adds up."""
        frames, blends = self.frames.split(size), self.blend.split(size * WINDOW, 1)
        yield from map(Windows, frames, blends)


class Published:
    """Expected activity of one mouse's neurons, as its several models have it.

    An `Encoder`; weights are frozen, batch norms folded. windows: how many go through
    a model at once; two are the even and the odd frames of `SPAN` + 1. recompute: pass
    forward again for the gradient, and need the memory of one pass, not of all.
    dtype: bfloat16 computes in it where that is safe; fast on GPUs only. The three may
    be changed at any time.
    """

    past_frames = 0
    frame_shape = PADDED

    def __init__(
        self,
        models: Sequence[Model],
        device: str = "cpu",
        *,
        windows: int = 2,
        recompute: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        require_same_neurons(models)
        self.mouse, self.neuron_ids = models[0].mouse, models[0].neuron_ids.numpy()
        self.n_neurons = self.mouse.n_neurons
        self.windows, self.recompute, self.dtype = windows, recompute, dtype
        self.usual = _usual_behavior(models[0])
        self._networks = [_network(model) for model in models]
        self.to(device)

    def to(self, device: str | torch.device) -> Published:
        """Move it to a device, and return it; UserError if it is too small."""
        self.device = torch.device(device)
        try:
            for network in self._networks:
                network.to(self.device)
        except torch.OutOfMemoryError:
            raise UserError(
                f"{device} has no memory for {len(self._networks)} models of the "
                "published encoder; end what else uses it, give fewer, or use the CPU"
            ) from None
        return self

    def rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n) expected activity >= 0; see `Encoder.rates`.

        T has to be `SPAN` or more; 0 where no window tells: every other frame of
        `SPAN`. behavior: in the order of `BEHAVIOR`; what is NaN or left out at the end
        counts as its mean in training, what the network was not trained on is passed
        over. Raises `UserError`: another size, too short, or behaviour whose mean is
        not known either.
        """
        movie, told = self._movie(video), self._told(behavior)
        windows = blended(window_frames(movie.shape[1]), movie.shape[1])
        answers = self.answers(movie, told, windows.to(self.device))
        return answers.reshape(*video.shape[:-2], self.n_neurons)

    def answers(self, movie: Tensor, told: Tensor, windows: Windows) -> Tensor:
        """Return (movies, told, n) expected activity >= 0, all of it on the device.

        movie: (movies, T, 64, 64), 0..255. told: (movies, T, k, 1, 1), or planes, no
        number of it NaN.
        """
        total = movie.new_zeros(len(movie), len(windows.blend), self.n_neurons)
        for some in windows.split(self.windows):
            frames = some.frames
            answers = self._mean_answer(movie[:, frames], told[:, frames])
            total = total + some.blend @ answers
        return total

    def ease(self, n_windows: int) -> str:
        """Need less memory for so many windows; see `LiveEncoder.ease`."""
        at_once = min(self.windows, n_windows)
        if self.recompute and at_once == 1:
            raise UserError(
                f"{self.device} has too little memory even for one window of the "
                "published encoder at a time; use a larger one, or the CPU"
            )
        if self.recompute:
            at_once = (at_once + 1) // 2
        self.recompute, self.windows = True, at_once
        return (
            f"{self.device} ran out of memory: from now on {at_once} windows of the "
            "published encoder go through it at once, and forward twice, which is "
            "slower and changes nothing else"
        )

    def _movie(self, video: Tensor) -> Tensor:
        """Return (movies, T, 64, 64) on the device."""
        if video.shape[-2:] not in (VISIBLE, PADDED):
            raise UserError(
                f"the published encoder sees frames of {VISIBLE} px, not of "
                f"{tuple(video.shape[-2:])}; resample the video first"
            )
        if video.shape[-3] < SPAN:
            raise UserError(
                f"the published encoder needs {SPAN} frames to answer, not "
                f"{video.shape[-3]}; take a longer stretch"
            )
        movie = padded(video.to(self.device, torch.float32))
        return movie.reshape(-1, *movie.shape[-3:])

    def _told(self, behavior: Tensor) -> Tensor:
        """Return (movies, T, k, 1, 1), or planes (movies, T, k, 64, 64)."""
        planes = (
            behavior if behavior.shape[-2:] == PADDED else behavior[..., None, None]
        )
        if planes.shape[-3] > len(BEHAVIOR):
            raise UserError(
                f"an encoder is told {len(BEHAVIOR)} values per frame "
                f"({', '.join(BEHAVIOR)}), not {planes.shape[-3]}; leave out what it "
                "does not know"
            )
        lacking = len(self.usual) - planes.shape[-3]  # below 0: too many
        planes = functional.pad(planes, (0, 0, 0, 0, 0, lacking), value=torch.nan)
        told = torch.where(planes.isfinite(), planes, self.usual[:, None, None])
        if not told.isfinite().all():
            raise UserError(
                f"what mouse {self.mouse} did is not known throughout, nor is what it "
                "did on average while the encoder was trained; give pupil dilation, "
                "running speed and pupil centre of every frame"
            )
        return told.reshape(-1, *told.shape[-4:]).to(self.device, torch.float32)

    def _mean_answer(self, movie: Tensor, told: Tensor) -> Tensor:
        """Return (movies, windows * 16, n) from (movies, windows, 16, ...)."""
        by_window = movie.flatten(0, 1)[:, None], told.flatten(0, 1).transpose(1, 2)
        answers = [self._answer(network, *by_window) for network in self._networks]
        mean = torch.stack(answers).mean(0)  # (movies * windows, n, 16)
        return mean.transpose(1, 2).unflatten(0, movie.shape[:2]).flatten(1, 2)

    def _answer(self, network: DwiseNeuro, movie: Tensor, told: Tensor) -> Tensor:
        def answer(movie: Tensor, told: Tensor) -> Tensor:
            plain = self.dtype == torch.float32
            with torch.autocast(self.device.type, self.dtype, enabled=not plain):
                return network(movie, told, self.mouse.index).float()

        if not (self.recompute and torch.is_grad_enabled()):
            return answer(movie, told)
        # Nothing in it is random: no state of a generator has to be looked at.
        return checkpoint(
            answer, movie, told, use_reentrant=False, preserve_rng_state=False
        )


def load_published(
    paths: Sequence[Path], mouse: str | int | None = None, device: str = "cpu"
) -> Published:
    """Load an ensemble for one mouse, from published or converted files alike.

    mouse: index or name, see `mice`; needed where a file has the readouts of several.
    Raises `CheckpointError`.
    """
    models = [model for path in paths for model in read_models(path, mouse)]
    return Published(models, device)


def read_models(path: Path, mouse: str | int | None = None) -> list[Model]:
    """Read the models of one file of either kind; raises `CheckpointError`."""
    if path.suffix == SUFFIX:
        return read_converted(path, mouse)
    return [read_published(path, mouse)]


def window_frames(n_frames: int) -> Tensor:
    """Return (windows, 16): the frames of each window, one ending at every frame."""
    starts = torch.arange(n_frames - SPAN + 1)
    return starts[:, None] + STEP * torch.arange(WINDOW)


def blended(frames: Tensor, n_frames: int, first: int = 0) -> Windows:
    """Return windows whose mean tells of each frame from `first` on.

    frames: (windows, 16), places among `n_frames`.
    """
    places = frames.flatten()
    counts = torch.zeros(n_frames, len(places))
    counts[places, torch.arange(len(places))] = 1
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    return Windows(frames, shares[first:])


def padded(frames: Tensor) -> Tensor:
    """Return (..., 64, 64): visible frames between rows of zero; others as they are."""
    if frames.shape[-2:] == PADDED:
        return frames
    return functional.pad(frames, (0, 0, _MARGIN, _MARGIN))


def _network(model: Model) -> DwiseNeuro:
    with torch.device("meta"):
        network = DwiseNeuro(model.sizes, {model.mouse.index: model.mouse.n_neurons})
    network.load_state_dict(model.weights, assign=True)
    return fold(network.float().requires_grad_(False))


def _usual_behavior(model: Model) -> Tensor:
    """Return (k,): the mean in training of all that it is told; NaN if unknown."""
    n_told = model.sizes.in_channels - 1
    usual = torch.full((n_told,), torch.nan)
    mean = torch.tensor(model.mouse.behavior_mean[:n_told])
    usual[: len(mean)] = mean
    return usual
