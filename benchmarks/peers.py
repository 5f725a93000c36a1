"""Other packages on the same frames, each used as its own documentation recommends.

Every package is optional: `make_available` reports those that are not installed. None
is a dependency of rtrecon. `make bench-imaging` installs them beside it.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array

from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet

Estimate = Callable[[Array], Array]  # frame -> (y, x), or (blocks, 2)
MARGIN_PX = 16


def make_available(
    makers: dict[str, Callable[..., Any]], *arguments: object
) -> dict[str, Any]:
    """Return the result of each maker; report the packages that cannot be imported."""
    available = {}
    for name, maker in makers.items():
        try:
            available[name] = maker(*arguments)
        except ImportError as error:
            print(f"  {name} is left out: {error}")
    return available


# -- rigid: template -> estimate ------------------------------------------------------


def make_opencv_recipe(template: Array) -> Estimate:
    """Halve, blur (2 px), matchTemplate, parabola: Mitani & Komiyama 2018."""
    cv2 = _import_cv2()
    small = cv2.GaussianBlur(_halve_image(cv2, template), (0, 0), 2)
    margin = MARGIN_PX // 2
    inner = np.ascontiguousarray(small[margin:-margin, margin:-margin])

    def estimate(frame: Array) -> Array:
        image = cv2.GaussianBlur(_halve_image(cv2, frame.astype(np.float32)), (0, 0), 2)
        scores = cv2.matchTemplate(image, inner, cv2.TM_CCOEFF_NORMED)
        return 2 * (_find_peak(scores) - margin)

    return estimate


def make_opencv_full(template: Array) -> Estimate:
    """MatchTemplate at full resolution, parabola."""
    cv2 = _import_cv2()
    inner = np.ascontiguousarray(template[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX])

    def estimate(frame: Array) -> Array:
        scores = cv2.matchTemplate(
            frame.astype(np.float32), inner, cv2.TM_CCOEFF_NORMED
        )
        return _find_peak(scores) - MARGIN_PX

    return estimate


def make_skimage(template: Array) -> Estimate:
    """phase_cross_correlation, upsampled ten times, without its whitening."""
    registration = importlib.import_module("skimage.registration")

    def estimate(frame: Array) -> Array:
        shift, *_ = registration.phase_cross_correlation(
            template, frame, upsample_factor=10, normalization=None
        )
        return -np.asarray(shift)

    return estimate


def make_suite2p_rigid(template: Array) -> Estimate:
    """suite2p's phase correlation, one frame at a time; whole pixels."""
    torch, register = _import_suite2p()
    prepared = register.compute_filters_and_norm(
        template, block_size=None, device=torch.device("cpu")
    )

    def estimate(frame: Array) -> Array:
        batch = torch.from_numpy(frame[None].astype(np.float32))
        y, x = register.compute_shifts(prepared, batch, maxregshiftNR=0)[:2]
        return np.array([float(y[0]), float(x[0])])

    return estimate


def make_jnormcorre_rigid(template: Array) -> Estimate:
    """jnormcorre, which also moves the frame."""
    correct = _import_jnormcorre()

    def estimate(frame: Array) -> Array:
        batch = frame[None].astype(np.float32)
        shifts = correct.register_frames_to_template_rigid(
            batch, template, (MARGIN_PX, MARGIN_PX), 0.0
        )[1]
        return -np.asarray(shifts)[0]

    return estimate


RIGID = {
    "OpenCV recipe (2x, blur)": make_opencv_recipe,
    "OpenCV, full resolution": make_opencv_full,
    "scikit-image, 10x": make_skimage,
    "suite2p, whole px": make_suite2p_rigid,
    "jnormcorre (and moved)": make_jnormcorre_rigid,
}


# -- non-rigid: template -> (centers (blocks, 2), estimate) ---------------------------


def make_suite2p_blocks(template: Array) -> tuple[Array, Estimate]:
    """suite2p: rigid, then blocks of 128 px."""
    torch, register = _import_suite2p()
    prepared = register.compute_filters_and_norm(
        template, block_size=(128, 128), device=torch.device("cpu")
    )
    blocks = prepared[6]
    centers = np.stack([np.mean(blocks[0], 1), np.mean(blocks[1], 1)], 1)

    def estimate(frame: Array) -> Array:
        batch = torch.from_numpy(frame[None].astype(np.float32))
        y, x, _, y1, x1 = register.compute_shifts(prepared, batch)[:5]
        whole = np.array([float(y[0]), float(x[0])])
        return whole + np.stack([np.asarray(y1[0]), np.asarray(x1[0])], 1)

    return centers, estimate


def make_jnormcorre_blocks(template: Array) -> tuple[Array, Estimate]:
    """jnormcorre: patches of 128 px every 96; also moves the frame."""
    correct = _import_jnormcorre()
    stride, overlap = 96, 32
    starts = [*range(0, len(template) - stride - overlap, stride)]
    starts += [len(template) - stride - overlap]
    middle = np.array(starts) + (stride + overlap) / 2
    centers = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)

    def estimate(frame: Array) -> Array:
        batch, max_shift_px = frame[None].astype(np.float32), (MARGIN_PX, MARGIN_PX)
        shifts = correct.register_frames_to_template_pwrigid(
            batch, template, stride, stride, overlap, overlap, max_shift_px, 10, 5, 0.0
        )[1]
        return -np.asarray(shifts)[0]

    return centers, estimate


NONRIGID = {
    "suite2p, 128 px blocks": make_suite2p_blocks,
    "jnormcorre, 96 + 32 px (and moved)": make_jnormcorre_blocks,
}


# -- traces ---------------------------------------------------------------------------


def make_sparse_extraction(
    cells: RoiSet, neuropil: RoiSet
) -> Callable[[Array], tuple[Array, Array]]:
    """Return scipy's sparse product, after conversion of the frame to float32."""
    size = cells.shape[0] * cells.shape[1]
    matrices = [_make_matrix(masks, size) for masks in (cells, neuropil)]

    def extract(frame: Array) -> tuple[Array, Array]:
        flat = frame.reshape(-1).astype(np.float32)
        return matrices[0] @ flat, matrices[1] @ flat

    return extract


def _make_matrix(masks: RoiSet, size: int) -> csr_array:
    indices = masks.rows.astype(np.int32) * masks.shape[1] + masks.cols
    parts = masks.weights, indices, masks.indptr.astype(np.int32)
    return csr_array(parts, shape=(len(masks), size))


def make_oasis(decay: float) -> Callable[[Array], Array]:
    """Return oasis-deconv's AR(1) over a whole trace at once; it uses the future."""
    methods = importlib.import_module("oasis.oasis_methods")

    def deconvolve(trace: Array) -> Array:
        return np.asarray(methods.oasisAR1(trace.astype(float), decay)[1])

    return deconvolve


# -- loading --------------------------------------------------------------------------


def _import_cv2() -> types.ModuleType:
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    return cv2


class _PlaceholderModule(types.ModuleType):
    """Stands in for a package that is imported but never used."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def _import_suite2p() -> tuple[types.ModuleType, types.ModuleType]:
    # It imports cellpose, which drags in gigabytes; its registration never calls it.
    for part in ("", ".metrics", ".models", ".transforms", ".utils", ".core", ".io"):
        sys.modules.setdefault(f"cellpose{part}", _PlaceholderModule(f"cellpose{part}"))
    register = importlib.import_module("suite2p.registration.register")
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    return torch, register


def _import_jnormcorre() -> types.ModuleType:
    jnp = importlib.import_module("jax.numpy")
    if not hasattr(jnp, "fix"):  # gone from jax since jnormcorre 1.0.0
        jnp.fix = jnp.trunc  # type: ignore[attr-defined]
    return importlib.import_module("jnormcorre.motion_correction")


def _halve_image(cv2: types.ModuleType, image: Array) -> Array:
    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _find_peak(scores: Array) -> Array:
    """Return the position of the maximum, by a parabola along each axis."""
    peak = np.unravel_index(int(scores.argmax()), scores.shape)
    y, x = (min(max(int(i), 1), n - 2) for i, n in zip(peak, scores.shape, strict=True))
    return np.array(
        [
            y + _fit_parabola_peak(*scores[y - 1 : y + 2, x]),
            x + _fit_parabola_peak(*scores[y, x - 1 : x + 2]),
        ]
    )


def _fit_parabola_peak(before: float, at: float, after: float) -> float:
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend else 0.0


def compute_maximin_baseline(values: Array, rate_hz: float) -> Array:
    """Suite2p's baseline, offline: smoothed by 10 s, minimum then maximum of 60 s."""
    ndimage = importlib.import_module("scipy.ndimage")
    smooth = gaussian_filter(values, [10.0, 0.0])
    window = int(60.0 * rate_hz)
    low = ndimage.minimum_filter1d(smooth, window, axis=0)
    return np.asarray(ndimage.maximum_filter1d(low, window, axis=0))
