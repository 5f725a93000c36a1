"""Compiled loops over pixels that render a simulated frame."""

from __future__ import annotations

import numpy as np
from numba import njit

from rtrecon.core.types import Array

_N_LEVELS, _N_DRAWS, _N_NOISES = 1024, 512, 4096  # powers of two; small, to stay cached
_PHOTONS_PER_LEVEL = 1 / 16  # the table reaches 64 photons per pixel
_MAX_COUNT = 256  # of photons; the largest one in the table is 90


@njit(cache=True, nogil=True, fastmath=True)
def render_light(
    tissue: Array,
    neuropil: Array,
    indptr: Array,
    rows: Array,
    cols: Array,
    weights: Array,
    brightness: Array,
) -> Array:
    """Return (H, W) expected photons of tissue, neuropil and cell bodies.

    neuropil: dF/F at the nodes of a coarse grid, interpolated between them. The weights
    of a mask sum to one; the number of its pixels scales them.
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
def _expose_pixels(
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
    columns = np.minimum(np.maximum(np.arange(width) - shift[1], 0), width - 1.001)
    left = columns.astype(np.int64)
    across = (columns - left).astype(np.float32)
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
            count = photons[level, state & np.uint64(_N_DRAWS - 1)]
            dark = noise[(state >> np.uint64(20)) & np.uint64(_N_NOISES - 1)]
            out[r, c] = np.int16(offset + gain * count + read_noise * dark)


def expose_frame(
    scene: Array, dy: float, dx: float, electronics: Array, seed: np.uint64, out: Array
) -> None:
    """Expose expected photons (H, W), moved by (dy, dx) px, into int16 `out`.

    electronics: gain, offset, read noise. Photon counts come from tables of Poisson
    quantiles, which is 20 times faster than drawing each count.
    """
    photons, noise = _load_tables()
    move = np.array([dy, dx])
    _expose_pixels(
        scene, move, electronics.astype(np.float32), photons, noise, seed, out
    )


_cached: list[tuple[Array, Array]] = []


def _load_tables() -> tuple[Array, Array]:
    if not _cached:
        _cached.append(_make_tables())
    return _cached[0]


def _make_tables() -> tuple[Array, Array]:
    """Return Poisson quantiles (levels, draws) and normal quantiles (noises,)."""
    from scipy.special import ndtri, pdtr  # slow to import, and only needed here

    rng = np.random.default_rng(0)
    middle = (np.arange(_N_DRAWS) + 0.5) / _N_DRAWS
    expected = (np.arange(_N_LEVELS) + 0.5) * _PHOTONS_PER_LEVEL
    # The smallest count that is not exceeded with the probability `middle`.
    cumulative = pdtr(np.arange(_MAX_COUNT), expected[:, None])
    photons = np.stack([np.searchsorted(row, middle) for row in cumulative])
    noise = rng.permutation(ndtri((np.arange(_N_NOISES) + 0.5) / _N_NOISES))
    return photons.astype(np.uint8), noise.astype(np.float32)
