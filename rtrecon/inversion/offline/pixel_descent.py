"""The published gradient descent on pixels: from gray, with momentum, no prior."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.core.types import Array
from rtrecon.encoder.base import Encoder
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.inversion.offline.window_gradients import WindowGradients
from rtrecon.stimulus_space.video import IMAGE_SHAPE

MIN_FREE_MASK = 0.5  # of the transparency mask; pixels below stay as they began
_MAX_GRAY = 255.0


class PixelDescent:
    """Descends one movie, shared by one or several encoders.

    Holds the movie, its momentum and the number of steps. Before the clip come the
    frames that the encoder needs; they stay gray. mask: (36, 64); pixels below
    `MIN_FREE_MASK` do not move. None = all pixels move.
    """

    def __init__(
        self,
        encoders: Sequence[Encoder],
        target: InversionTarget,
        mask: Array | None,
        settings: PublishedSettings,
    ) -> None:
        self.n_steps = 0
        self._settings = settings
        self._past, shape = _require_common_shape(encoders)
        self._video = torch.full((self._past + len(target), *shape), settings.pad)
        crop_visible(self._video).fill_(settings.start)
        self._momentum = torch.zeros_like(self._video)
        self._free = torch.zeros_like(self._video)
        self._free[self._past :] = _create_free_mask(mask, shape)
        self._gradients = [
            WindowGradients(encoder, target, settings) for encoder in encoders
        ]
        self._passes_before = 0
        self._origin = _hash_inputs(target, mask, settings)

    @property
    def n_passes(self) -> int:
        """Forward and backward passes of an encoder through one window."""
        return self._passes_before + sum(each.n_passes for each in self._gradients)

    @property
    def windows_at_once(self) -> int:
        """Number of windows that fit into memory."""
        return min(each.windows_at_once for each in self._gradients)

    def step(self) -> None:
        """Move every free pixel once."""
        self.n_steps += 1
        settings = self._settings
        means = torch.stack(
            [each.mean_gradient(self._video) for each in self._gradients]
        )
        gradient = means.mean(0).mul_(self._free)
        gradient.clamp_(-settings.limit, settings.limit)
        self._momentum.lerp_(gradient, 1 - settings.momentum)
        self._video.sub_(self._momentum, alpha=settings.step_size(self.n_steps))
        self._video.clamp_(0, _MAX_GRAY)

    def current_movie(self) -> Array:
        """Return float32 (T, 36, 64), 0..255."""
        return crop_visible(self._video[self._past :]).numpy().copy()

    def save(self, path: Path) -> None:
        """Write the state as safetensors."""
        about = {"origin": self._origin, "steps": self.n_steps, "passes": self.n_passes}
        tensors = {"video": self._video, "momentum": self._momentum}
        with open_atomically(path) as temporary:
            save_file(tensors, temporary, metadata={"rtrecon": json.dumps(about)})

    def resume(self, path: Path) -> None:
        """Continue from what `save` wrote; UserError if another descent wrote it."""
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {})["rtrecon"])
            if about["origin"] != self._origin:
                raise ValueError("other activity, another mask or other settings")
            tensors = load_file(path)
            self._video.copy_(tensors["video"])
            self._momentum.copy_(tensors["momentum"])
            self.n_steps, self._passes_before = about["steps"], about["passes"]
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not the state of this reconstruction ({error}); delete it "
                "to start again"
            ) from None


def crop_visible(frames: Tensor) -> Tensor:
    """Return the rows (..., 36, 64) of frames that are on the screen, as a view."""
    above = (frames.shape[-2] - IMAGE_SHAPE[0]) // 2
    return frames[..., above : above + IMAGE_SHAPE[0], :]


def _create_free_mask(mask: Array | None, shape: tuple[int, int]) -> Tensor:
    """Return (height, width): 1 where pixels may move, 0 elsewhere."""
    if mask is None:
        return torch.ones(shape)
    free = torch.zeros(shape)
    crop_visible(free).copy_(torch.from_numpy(np.asarray(mask) >= MIN_FREE_MASK))
    return free


def _require_common_shape(encoders: Sequence[Encoder]) -> tuple[int, tuple[int, int]]:
    """Return past_frames and frame_shape; UserError if encoders differ in them."""
    kinds = {(encoder.past_frames, encoder.frame_shape) for encoder in encoders}
    if len(kinds) != 1:
        raise UserError(
            f"{len(kinds)} kinds of encoder cannot share one movie; give encoders "
            "of one kind, or average their movies"
        )
    return kinds.pop()


def _hash_inputs(
    target: InversionTarget, mask: Array | None, settings: PublishedSettings
) -> str:
    """Return a hash of all that decides this descent."""
    deciding = asdict(settings) | {"windows_at_once": None}
    digest = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode())
    for part in (target.activity, target.behavior, target.used_neurons, mask):
        digest.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
