"""The two loops over pixels that make a simulated frame."""

from __future__ import annotations

import numpy as np
from numba import njit

from rtrecon.core.types import Array

_LEVELS, _DRAWS, _NOISES = 1024, 512, 4096  # powers of two; small, to stay cached
_PHOTONS_PER_LEVEL = 1 / 16  # the table reaches 64 photons per pixel


@njit(cache=True, nogil=True, fastmath=True)
def light(
    tissue: Array,
    neuropil: Array,
    indptr: Array,
    rows: Array,
    cols: Array,
    weights: Array,
    brightness: Array,
) -> Array:
    """Return (H, W) expected photons: tissue lit by neuropil, somata on top.

    neuropil: dF/F at nodes of a coarse grid, interpolated between them. weights are
    masks that sum to one, so each is scaled by its own pixel count.
    """
    height, width = tissue.shape
    one = np.float32(1)  # a plain 1 would make everything double precision
    out = np.empty((height, width), np.float32)
    step_y = (neuropil.shape[0] - 1) / height
    step_x = (neuropil.shape[1] - 1) / width
    left = (np.arange(width) * step_x).astype(np.int64)
    across = (np.arange(width) * step_x - left).astype(np.float32)
    for r in range(height):
        gy = int(r * step_y)
        fy = np.float32(r * step_y - gy)
        nodes = neuropil[gy] * (one - fy) + neuropil[gy + 1] * fy
        for c in range(width):
            gx, fx = left[c], across[c]
            glow = nodes[gx] + (nodes[gx + 1] - nodes[gx]) * fx
            out[r, c] = tissue[r, c] * (one + glow)
    for i in range(len(brightness)):
        start, stop = indptr[i], indptr[i + 1]
        level = brightness[i] * np.float32(stop - start)
        for k in range(start, stop):
            out[rows[k], cols[k]] += level * weights[k]
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _expose(
    scene: Array,
    shift: Array,
    electronics: Array,
    photons: Array,
    noise: Array,
    seed: np.uint64,
    out: Array,
) -> None:
    height, width = scene.shape
    gain, offset, read_noise = electronics
    one, levels = np.float32(1), np.float32(1 / _PHOTONS_PER_LEVEL)
    top_level = photons.shape[0] - 1
    places = np.minimum(np.maximum(np.arange(width) - shift[1], 0), width - 1.001)
    left = places.astype(np.int64)
    across = (places - left).astype(np.float32)
    state = seed * np.uint64(0x9E3779B97F4A7C15) | np.uint64(1)
    for r in range(height):
        y = min(max(r - shift[0], 0.0), height - 1.001)
        top = int(y)
        fy = np.float32(y - top)
        row = scene[top] * (one - fy) + scene[top + 1] * fy
        for c in range(width):
            x = left[c]
            expected = row[x] + (row[x + 1] - row[x]) * across[c]
            level = min(max(int(expected * levels), 0), top_level)
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            count = photons[level, state & np.uint64(_DRAWS - 1)]
            dark = noise[(state >> np.uint64(20)) & np.uint64(_NOISES - 1)]
            out[r, c] = np.int16(offset + gain * count + read_noise * dark)


def expose(
    scene: Array, dy: float, dx: float, electronics: Array, seed: np.uint64, out: Array
) -> None:
    """Photograph expected photons (H, W), moved by (dy, dx) px, into int16 `out`.

    electronics: gain, offset, read noise. Photon counts are drawn from tables of the
    Poisson distribution's quantiles, for that is 20 times faster than drawing anew.
    """
    photons, noise = _tables()
    move = np.array([dy, dx])
    _expose(scene, move, electronics.astype(np.float32), photons, noise, seed, out)


_cached: list[tuple[Array, Array]] = []


def _tables() -> tuple[Array, Array]:
    if not _cached:
        _cached.append(_make_tables())
    return _cached[0]


def _make_tables() -> tuple[Array, Array]:
    """Return Poisson quantiles (levels, draws) and normal quantiles (noises,)."""
    from scipy.stats import norm, poisson  # slow to import, and only needed here

    rng = np.random.default_rng(0)
    middle = (np.arange(_DRAWS) + 0.5) / _DRAWS
    expected = (np.arange(_LEVELS) + 0.5) * _PHOTONS_PER_LEVEL
    photons = poisson.ppf(middle[None], expected[:, None]).astype(np.uint8)
    noise = rng.permutation(norm.ppf((np.arange(_NOISES) + 0.5) / _NOISES))
    return photons, noise.astype(np.float32)
