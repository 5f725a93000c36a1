"""The published encoder at work: windows, padding, blending, the mean of models.

It sees 16 frames, every other one, and answers for each of them. A longer movie is cut
into such windows, one ending at every frame; where several answer for a frame, their
mean counts. Windows look ahead: what a frame is told to cause depends on later frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rtrecon.encoder.convert import SUFFIX, read_converted, require_same_neurons
from rtrecon.encoder.dwiseneuro import DwiseNeuro, fold
from rtrecon.encoder.protocol import PADDED, VISIBLE
from rtrecon.encoder.published_file import Model, read_published
from rtrecon.errors import UserError

WINDOW, STEP = 16, 2  # frames seen at once, and how far apart
SPAN = STEP * (WINDOW - 1) + 1  # frames from the first of a window to its last
_MARGIN = (PADDED[0] - VISIBLE[0]) // 2  # rows of padding, above and below


class Published:
    """Expected activity of one mouse's neurons, as its several models have it.

    An `Encoder`; weights are frozen, batch norms folded. windows: how many go through
    a model at once; two are the even and the odd frames of `SPAN` + 1. recompute: pass
    forward again for the gradient, and need the memory of one pass, not of all.
    dtype: bfloat16 computes in it where that is safe; fast on GPUs only.
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
        self.device, self._windows = torch.device(device), windows
        self._recompute, self._dtype = recompute, dtype
        self._networks = [_network(model).to(self.device) for model in models]
        self._usual = _usual_behavior(models[0])

    def rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n) expected activity >= 0; see `Encoder.rates`.

        T has to be `SPAN` or more; 0 where no window tells: every other frame of
        `SPAN`. behavior: pupil dilation, running speed, pupil centre x and y; what is
        NaN or left out at the end counts as its mean in training. Raises `UserError`:
        another size, too short, or behaviour whose mean is not known either.
        """
        movie, told = self._movie(video), self._told(behavior)
        frames = window_frames(movie.shape[1]).to(self.device)
        total = movie.new_zeros(*movie.shape[:2], self.n_neurons)
        for some in frames.split(self._windows):
            answers = self._mean_answer(movie[:, some], told[:, some])
            total = total.index_add(1, some.flatten(), answers)
        count = torch.bincount(frames.flatten(), minlength=movie.shape[1]).clamp(min=1)
        blended = total / count[:, None]
        return blended.reshape(*video.shape[:-2], self.n_neurons)

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
        lacking = len(self._usual) - planes.shape[-3]
        if lacking < 0:
            raise UserError(
                f"this encoder is told {len(self._usual)} values per frame (pupil "
                "dilation, running speed, pupil centre x and y), not "
                f"{planes.shape[-3]}; leave out what it does not know"
            )
        planes = functional.pad(planes, (0, 0, 0, 0, 0, lacking), value=torch.nan)
        told = torch.where(planes.isfinite(), planes, self._usual)
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
            plain = self._dtype == torch.float32
            with torch.autocast(self.device.type, self._dtype, enabled=not plain):
                return network(movie, told, self.mouse.index).float()

        if not (self._recompute and torch.is_grad_enabled()):
            return answer(movie, told)
        return checkpoint(answer, movie, told, use_reentrant=False)


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
    """Return (k, 1, 1): the mean in training of all that it is told; NaN if unknown."""
    n_told = model.sizes.in_channels - 1
    usual = torch.full((n_told, 1, 1), torch.nan)
    mean = torch.tensor(model.mouse.behavior_mean[:n_told])
    usual[: len(mean), 0, 0] = mean
    return usual
