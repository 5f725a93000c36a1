"""The published descent: pixels, from a gray screen, with momentum and no prior."""

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
from rtrecon.core.types import Array
from rtrecon.encoder.protocol import VISIBLE, Encoder
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import Target
from rtrecon.inversion.offline.window_gradients import WindowGradients

FREE_FROM = 0.5  # of the transparency mask; pixels below stay as they began
_BRIGHTEST = 255.0


class Descent:
    """One movie on its way down.

    Remembers the movie, led in by the frames that the encoder needs from before the
    clip and that stay gray, its momentum and how many steps were taken. `mask` (36, 64)
    says which pixels may move (`FREE_FROM`), None lets all. Several encoders share the
    movie.
    """

    def __init__(
        self,
        encoders: Sequence[Encoder],
        target: Target,
        mask: Array | None,
        settings: PublishedSettings,
    ) -> None:
        self.steps = 0
        self._settings = settings
        self._past, shape = _common(encoders)
        self._video = torch.full((self._past + len(target), *shape), settings.pad)
        visible(self._video).fill_(settings.start)
        self._momentum = torch.zeros_like(self._video)
        self._free = torch.zeros_like(self._video)
        self._free[self._past :] = _free(mask, shape)
        self._gradients = [
            WindowGradients(encoder, target, settings) for encoder in encoders
        ]
        self._passes_before = 0
        self._origin = _fingerprint(target, mask, settings)

    @property
    def passes(self) -> int:
        """Encoder passes, forward and back, of one window each."""
        return self._passes_before + sum(each.passes for each in self._gradients)

    @property
    def windows_at_once(self) -> int:
        """How many windows memory takes."""
        return min(each.windows_at_once for each in self._gradients)

    def step(self) -> None:
        """Move every pixel that is free."""
        self.steps += 1
        settings = self._settings
        means = torch.stack([each.mean(self._video) for each in self._gradients])
        gradient = means.mean(0).mul_(self._free)
        gradient.clamp_(-settings.limit, settings.limit)
        self._momentum.lerp_(gradient, 1 - settings.momentum)
        self._video.sub_(self._momentum, alpha=settings.step_size(self.steps))
        self._video.clamp_(0, _BRIGHTEST)

    def movie(self) -> Array:
        """Return float32 (T, 36, 64), 0..255."""
        return visible(self._video[self._past :]).numpy().copy()

    def save(self, path: Path) -> None:
        """Write where it stands, as safetensors."""
        about = {"origin": self._origin, "steps": self.steps, "passes": self.passes}
        half_written = path.with_suffix(".part")  # never in place of an older one
        tensors = {"video": self._video, "momentum": self._momentum}
        save_file(tensors, half_written, metadata={"rtrecon": json.dumps(about)})
        half_written.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from what `save` wrote; UserError if that was something else."""
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {})["rtrecon"])
            if about["origin"] != self._origin:
                raise ValueError("other activity, another mask or other settings")
            tensors = load_file(path)
            self._video.copy_(tensors["video"])
            self._momentum.copy_(tensors["momentum"])
            self.steps, self._passes_before = about["steps"], about["passes"]
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not the beginning of this reconstruction ({error}); delete "
                "it to begin anew"
            ) from None


def visible(frames: Tensor) -> Tensor:
    """Return the rows (..., 36, 64) of frames that are shown, as a view."""
    above = (frames.shape[-2] - VISIBLE[0]) // 2
    return frames[..., above : above + VISIBLE[0], :]


def _free(mask: Array | None, shape: tuple[int, int]) -> Tensor:
    """Return (height, width): 1 where pixels may move, 0 elsewhere."""
    if mask is None:
        return torch.ones(shape)
    free = torch.zeros(shape)
    visible(free).copy_(torch.from_numpy(np.asarray(mask) >= FREE_FROM))
    return free


def _common(encoders: Sequence[Encoder]) -> tuple[int, tuple[int, int]]:
    """Return past_frames and frame_shape, which must be the same in all."""
    kinds = {(encoder.past_frames, encoder.frame_shape) for encoder in encoders}
    if len(kinds) != 1:
        raise UserError(
            f"{len(kinds)} kinds of encoder cannot move one movie; give encoders of "
            "one kind, or average their movies"
        )
    return kinds.pop()


def _fingerprint(
    target: Target, mask: Array | None, settings: PublishedSettings
) -> str:
    """Return what tells this optimisation from others."""
    deciding = asdict(settings) | {"windows_at_once": None}
    digest = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode())
    for part in (target.activity, target.behavior, target.kept, mask):
        digest.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
