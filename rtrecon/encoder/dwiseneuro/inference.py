"""DwiseNeuro on movies of any length: windows, padding, blending, mean over models.

The network sees 16 frames, every other one, and predicts activity in each of them. A
longer movie is cut into such windows, one ending at every frame; the prediction for a
frame is the mean over all windows that contain it. Windows look ahead: a prediction
depends on later frames, too.
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
from rtrecon.encoder.base import PADDED_SHAPE
from rtrecon.encoder.dwiseneuro.author_files import MouseModel, read_author_file
from rtrecon.encoder.dwiseneuro.convert import (
    CONVERTED_SUFFIX,
    read_converted_file,
    require_one_mouse,
)
from rtrecon.encoder.dwiseneuro.network import DwiseNeuro, fold_batch_norms
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE

DWISENEURO_RATE_HZ = 30.0  # of the movies that the published networks were trained on
WINDOW_FRAMES, FRAME_STEP = 16, 2  # frames of a window, and how far apart they are
WINDOW_SPAN_FRAMES = FRAME_STEP * (WINDOW_FRAMES - 1) + 1  # from first to last frame
_PADDING_ROWS = (PADDED_SHAPE[0] - IMAGE_SHAPE[0]) // 2  # above, and again below


@dataclass(frozen=True)
class WindowBlend:
    """Windows of a movie, and how their predictions are averaged.

    frame_indices: (windows, 16), in the movie. blend_weights: (T, windows * 16), the
    weight of each prediction for each of T frames; a frame that no window contains has
    weights of 0.
    """

    frame_indices: Tensor
    blend_weights: Tensor

    def to(self, device: torch.device) -> WindowBlend:
        """Return a copy on a device."""
        return WindowBlend(self.frame_indices.to(device), self.blend_weights.to(device))

    def split(self, max_windows: int) -> Iterator[WindowBlend]:
        """Yield parts of at most `max_windows`; their weighted predictions add up."""
        frames = self.frame_indices.split(max_windows)
        blends = self.blend_weights.split(max_windows * WINDOW_FRAMES, 1)
        yield from map(WindowBlend, frames, blends)


class DwiseNeuroEncoder:
    """Expected activity of one mouse's neurons: the mean over models; an `Encoder`.

    Weights are frozen, batch norms folded. max_windows: how many go through a model at
    once; two are the even and the odd frames of `WINDOW_SPAN_FRAMES` + 1.
    recompute_forward: run the forward pass again for the gradient, which needs the
    memory of one pass instead of all. dtype: bfloat16 uses autocast; fast on GPUs only.
    All three may be changed at any time.
    """

    past_frames = 0
    frame_shape = PADDED_SHAPE

    def __init__(
        self,
        models: Sequence[MouseModel],
        device: str = "cpu",
        *,
        max_windows: int = 2,
        recompute_forward: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        require_one_mouse(models)
        self.mouse, self.neuron_ids = models[0].mouse, models[0].neuron_ids.numpy()
        self.n_neurons = self.mouse.n_neurons
        self.max_windows, self.recompute_forward = max_windows, recompute_forward
        self.dtype = dtype
        self.default_behavior = _make_default_behavior(models[0])
        self._networks = [_build_network(model) for model in models]
        self.to(device)

    def to(self, device: str | torch.device) -> DwiseNeuroEncoder:
        """Move it to a device and return it; UserError if the memory is too small."""
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

    def predict_rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n) expected activity >= 0; see `Encoder.predict_rates`.

        T has to be `WINDOW_SPAN_FRAMES` or more; at exactly so many no window contains
        the odd frames, whose rates are 0. behavior: in the order of `BEHAVIOR`; values
        that are NaN or left out at the end are replaced by their training mean, values
        that the network was not trained on are ignored. Raises UserError for frames of
        another size, too few frames, and unknown behavior without a known mean.
        """
        movie = self._prepare_movie(video)
        behavior_input = self._prepare_behavior(behavior)
        windows = blend_windows(list_window_indices(movie.shape[1]), movie.shape[1])
        rates = self.predict_windows(movie, behavior_input, windows.to(self.device))
        return rates.reshape(*video.shape[:-2], self.n_neurons)

    def predict_windows(
        self, movie: Tensor, behavior: Tensor, windows: WindowBlend
    ) -> Tensor:
        """Return (movies, frames, n) expected activity >= 0; all is on the device.

        movie: (movies, T, 64, 64), 0..255. behavior: (movies, T, k, 1, 1), or planes,
        without NaN. The frames are those of the rows of `windows.blend_weights`.
        """
        total = movie.new_zeros(len(movie), len(windows.blend_weights), self.n_neurons)
        for part in windows.split(self.max_windows):
            frames = part.frame_indices
            predictions = self._average_models(movie[:, frames], behavior[:, frames])
            total = total + part.blend_weights @ predictions
        return total

    def reduce_memory(self, n_windows: int) -> str:
        """Need less memory for `n_windows`; see `LiveEncoder.reduce_memory`."""
        at_once = min(self.max_windows, n_windows)
        if self.recompute_forward and at_once == 1:
            raise UserError(
                f"{self.device} has too little memory even for one window of the "
                "published encoder at a time; use a larger device, or the CPU"
            )
        if self.recompute_forward:
            at_once = (at_once + 1) // 2
        self.recompute_forward, self.max_windows = True, at_once
        return (
            f"{self.device} ran out of memory: from now on {at_once} windows of the "
            "published encoder are computed at once, and the forward pass runs twice; "
            "this is slower and changes nothing else"
        )

    def _prepare_movie(self, video: Tensor) -> Tensor:
        """Return (movies, T, 64, 64) on the device."""
        if video.shape[-2:] not in (IMAGE_SHAPE, PADDED_SHAPE):
            raise UserError(
                f"the published encoder takes frames of {IMAGE_SHAPE} px, not of "
                f"{tuple(video.shape[-2:])}; resample the video first"
            )
        if video.shape[-3] < WINDOW_SPAN_FRAMES:
            raise UserError(
                f"the published encoder needs {WINDOW_SPAN_FRAMES} frames or more, "
                f"not {video.shape[-3]}; take a longer segment"
            )
        movie = pad_frames(video.to(self.device, torch.float32))
        return movie.reshape(-1, *movie.shape[-3:])

    def _prepare_behavior(self, behavior: Tensor) -> Tensor:
        """Return (movies, T, k, 1, 1), or planes (movies, T, k, 64, 64)."""
        is_planes = behavior.shape[-2:] == PADDED_SHAPE
        planes = behavior if is_planes else behavior[..., None, None]
        if planes.shape[-3] > len(BEHAVIOR):
            raise UserError(
                f"an encoder takes {len(BEHAVIOR)} behavior values per frame "
                f"({', '.join(BEHAVIOR)}), not {planes.shape[-3]}; leave out the others"
            )
        n_missing = len(self.default_behavior) - planes.shape[-3]  # below 0: drops some
        planes = functional.pad(planes, (0, 0, 0, 0, 0, n_missing), value=torch.nan)
        filled = torch.where(
            planes.isfinite(), planes, self.default_behavior[:, None, None]
        )
        if not filled.isfinite().all():
            raise UserError(
                f"the behavior of mouse {self.mouse} is not known in every frame, and "
                "neither is its mean in the training of the encoder; give pupil "
                "dilation, running speed and pupil center of every frame"
            )
        return filled.reshape(-1, *filled.shape[-4:]).to(self.device, torch.float32)

    def _average_models(self, movie: Tensor, behavior: Tensor) -> Tensor:
        """Return (movies, windows * 16, n) from (movies, windows, 16, ...)."""
        by_window = movie.flatten(0, 1)[:, None], behavior.flatten(0, 1).transpose(1, 2)
        predictions = [
            self._run_network(network, *by_window) for network in self._networks
        ]
        mean = torch.stack(predictions).mean(0)  # (movies * windows, n, 16)
        return mean.transpose(1, 2).unflatten(0, movie.shape[:2]).flatten(1, 2)

    def _run_network(
        self, network: DwiseNeuro, movie: Tensor, behavior: Tensor
    ) -> Tensor:
        def forward(movie: Tensor, behavior: Tensor) -> Tensor:
            is_float32 = self.dtype == torch.float32
            with torch.autocast(self.device.type, self.dtype, enabled=not is_float32):
                return network(movie, behavior, self.mouse.index).float()

        if not (self.recompute_forward and torch.is_grad_enabled()):
            return forward(movie, behavior)
        # The network draws no random numbers, so no generator state is preserved.
        return checkpoint(
            forward, movie, behavior, use_reentrant=False, preserve_rng_state=False
        )


def load_dwiseneuro(
    paths: Sequence[Path], mouse: str | int | None = None, device: str = "cpu"
) -> DwiseNeuroEncoder:
    """Load an ensemble for one mouse, from published or converted files.

    mouse: index or name, see `choose_mouse`; needed where a file has the readouts of
    several mice. Raises `CheckpointError`.
    """
    models = [model for path in paths for model in read_models(path, mouse)]
    return DwiseNeuroEncoder(models, device)


def read_models(path: Path, mouse: str | int | None = None) -> list[MouseModel]:
    """Read the models of one file of either kind; raises `CheckpointError`."""
    if path.suffix == CONVERTED_SUFFIX:
        return read_converted_file(path, mouse)
    return [read_author_file(path, mouse)]


def list_window_indices(n_frames: int) -> Tensor:
    """Return (windows, 16): the frames of each window, one ending at every frame."""
    starts = torch.arange(n_frames - WINDOW_SPAN_FRAMES + 1)
    return starts[:, None] + FRAME_STEP * torch.arange(WINDOW_FRAMES)


def blend_windows(
    frame_indices: Tensor, n_frames: int, first_frame: int = 0
) -> WindowBlend:
    """Return windows and the weights that average them for each frame.

    frame_indices: (windows, 16), below `n_frames`. Frames before `first_frame` are not
    predicted.
    """
    indices = frame_indices.flatten()
    counts = torch.zeros(n_frames, len(indices))
    counts[indices, torch.arange(len(indices))] = 1
    weights = counts / counts.sum(1, keepdim=True).clamp(min=1)
    return WindowBlend(frame_indices, weights[first_frame:])


def pad_frames(frames: Tensor) -> Tensor:
    """Return frames (..., 64, 64), padded with rows of zeros where they are smaller."""
    if frames.shape[-2:] == PADDED_SHAPE:
        return frames
    return functional.pad(frames, (0, 0, _PADDING_ROWS, _PADDING_ROWS))


def _build_network(model: MouseModel) -> DwiseNeuro:
    with torch.device("meta"):
        network = DwiseNeuro(
            model.architecture, {model.mouse.index: model.mouse.n_neurons}
        )
    network.load_state_dict(model.weights, assign=True)
    return fold_batch_norms(network.float().requires_grad_(False))


def _make_default_behavior(model: MouseModel) -> Tensor:
    """Return (k,): the training mean of each behavior input; NaN if unknown."""
    n_values = model.architecture.in_channels - 1
    default = torch.full((n_values,), torch.nan)
    mean = torch.tensor(model.mouse.behavior_mean[:n_values])
    default[: len(mean)] = mean
    return default
