"""How alike the live movie is to a clip, wherever in time the two match best."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

_GREY = 128.0  # taken off first: what is then summed stays small
_FLAT = 1e-3  # grey levels squared; less variance than this shows nothing


class Target:
    """A clip to look for; clip: uint8 (n, height, width), not all of one grey."""

    def __init__(self, clip: Array) -> None:
        self._clip = _Frames(clip)

    def likeness(self, window: Array) -> float:
        """Return the correlation over all pixels of the frames that overlap.

        window: uint8 (n, height, width), of the clip's height and width. The shorter
        of the two is slid along the longer one, and the best place counts: in -1..1,
        NaN where a frame shows nothing.
        """
        short, long = sorted((_Frames(window), self._clip), key=len)
        n = len(short)
        places = len(long) - n + 1
        products = short.pixels @ long.pixels.T
        # Entry k: the short one laid on frames k .. k + n - 1 of the long one.
        product = sum(products[i, i : i + places].astype(float) for i in range(n))
        pixels = n * short.pixels.shape[1]
        mean, means = short.sums.sum() / pixels, _moving(long.sums, n) / pixels
        power = short.squares.sum() / pixels - mean**2
        powers = _moving(long.squares, n) / pixels - means**2
        shown = powers > _FLAT
        if power <= _FLAT or not shown.any():
            return np.nan
        r = (product / pixels - mean * means)[shown] / np.sqrt(power * powers[shown])
        return float(r.max())


class _Frames:
    """Frames as rows of pixels, float32 about grey, with each one's sums."""

    def __init__(self, frames: Array) -> None:
        rows = frames.reshape(len(frames), -1)
        self.pixels = rows.astype(np.float32) - np.float32(_GREY)
        self.sums = self.pixels.sum(axis=1, dtype=float)
        self.squares = np.square(self.pixels).sum(axis=1, dtype=float)

    def __len__(self) -> int:
        return len(self.pixels)


def _moving(values: Array, n: int) -> Array:
    """Return the sums of every n values in a row."""
    upto = np.concatenate([[0.0], np.cumsum(values)])
    return upto[n:] - upto[:-n]
