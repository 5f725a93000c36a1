"""Fit an ellipse to points of which many lie elsewhere. Needs numpy, not rtrecon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_TRIALS = 80  # random ellipses, of which the one with the most points is taken
N_POINTS = 6  # that define one of them
INLIER_PX = 1.5  # distance of a point from the ellipse


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in pixels; x to the right, y down, from the middle of the first pixel.

    axes: full lengths, longer first. angle: of the longer axis, rad. share_seen: of the
    edge that carries the fit.
    """

    x: float
    y: float
    axes: tuple[float, float]
    angle: float
    share_seen: float

    @property
    def diameter(self) -> float:
        """Diameter of the circle of the same area."""
        return float(np.sqrt(self.axes[0] * self.axes[1]))


def fit_robustly(edge: np.ndarray) -> tuple[Ellipse, np.ndarray] | None:
    """Return the ellipse through most of the edge, and which points lie on it."""
    rng = np.random.default_rng(0)  # the same image has the same ellipse
    trials = rng.integers(0, len(edge), (N_TRIALS, N_POINTS))
    conics = fit_conics(edge[trials])
    if not len(conics):
        return None
    distances = measure_distance(conics, edge)
    best = distances[(distances < INLIER_PX).sum(1).argmax()] < INLIER_PX
    for _ in range(3):
        conics = fit_conics(edge[best][None])
        if not len(conics):
            return None
        best = measure_distance(conics, edge)[0] < INLIER_PX
        if best.sum() < N_POINTS:
            return None
    ellipse = describe_conic(conics[0])
    return None if ellipse is None else (ellipse, best)


def fit_conics(points: np.ndarray) -> np.ndarray:
    """Return a..f of ellipses a x2 + b xy + c y2 + d x + e y + f = 0, (k, 6).

    points: k sets of n points, (k, n, 2); a set that has no ellipse is left out. Direct
    least squares: Halir and Flusser, Numerically stable direct least squares fitting of
    ellipses (WSCG 1998).
    """
    center = points.mean(1)
    scale = np.maximum(points.std((1, 2)), 1e-6)
    x, y = np.moveaxis((points - center[:, None]) / scale[:, None, None], -1, 0)
    squares = np.stack([x * x, x * y, y * y], 2)
    lines = np.stack([x, y, np.ones_like(x)], 2)
    s1, s2, s3 = (
        np.einsum("kni,knj->kij", *pair)
        for pair in ((squares, squares), (squares, lines), (lines, lines))
    )
    # Points on a line have no ellipse; their matrix has no inverse.
    transfer = -np.linalg.pinv(s3) @ np.swapaxes(s2, 1, 2)
    reduced = s1 + s2 @ transfer
    reduced = np.stack([reduced[:, 2] / 2, -reduced[:, 1], reduced[:, 0] / 2], 1)
    vectors = np.linalg.eig(reduced)[1].real
    discriminant = 4 * vectors[:, 0] * vectors[:, 2] - vectors[:, 1] ** 2
    best = discriminant.argmax(1)
    chosen = np.take_along_axis(vectors, best[:, None, None], 2)
    conics = np.concatenate([chosen, transfer @ chosen], 1)[..., 0]
    conics = undo_scaling(conics, center, scale)
    return conics[np.take_along_axis(discriminant, best[:, None], 1)[:, 0] > 0]


def undo_scaling(
    conics: np.ndarray, center: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Return the conics of points p, from those of (p - center) / scale."""
    a, b, c, d, e, f = conics.T
    x, y = center.T
    d, e, f = d * scale, e * scale, f * scale * scale
    moved_d, moved_e = d - 2 * a * x - b * y, e - 2 * c * y - b * x
    moved_f = f + a * x * x + b * x * y + c * y * y - d * x - e * y
    return np.stack([a, b, c, moved_d, moved_e, moved_f], 1)


def measure_distance(conics: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how far points lie from conics, to first order (Sampson), px, (k, n)."""
    a, b, c, d, e, f = conics.T[:, :, None]
    x, y = points.T
    value = a * x * x + b * x * y + c * y * y + d * x + e * y + f
    slope = np.hypot(2 * a * x + b * y + d, b * x + 2 * c * y + e)
    return np.abs(value) / np.maximum(slope, 1e-12)


def describe_conic(conic: np.ndarray) -> Ellipse | None:
    """Return centre, axes and angle of an ellipse; None if it is no real one."""
    a, b, c, d, e, f = conic
    matrix = np.array([[a, b / 2], [b / 2, c]])
    try:
        center = np.linalg.solve(matrix, [-d / 2, -e / 2])
    except np.linalg.LinAlgError:
        return None
    value = f + (d * center[0] + e * center[1]) / 2
    curvatures, directions = np.linalg.eigh(matrix)
    squares = -value / np.where(curvatures == 0, np.nan, curvatures)
    if not (squares > 0).all():
        return None
    axes = 2 * np.sqrt(squares)
    longer = int(axes.argmax())
    angle = float(np.arctan2(directions[1, longer], directions[0, longer]) % np.pi)
    longest, shortest = float(axes.max()), float(axes.min())
    return Ellipse(float(center[0]), float(center[1]), (longest, shortest), angle, 0.0)


def mask_ellipse(shape: tuple[int, ...], ellipse: Ellipse, size: float) -> np.ndarray:
    """Return which pixels lie in the ellipse, `size` times as large."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    along, across = turn(x - ellipse.x, y - ellipse.y, ellipse)
    a, b = (size * axis / 2 for axis in ellipse.axes)
    return (along / a) ** 2 + (across / b) ** 2 <= 1


def turn(
    x: np.ndarray, y: np.ndarray, ellipse: Ellipse
) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates along the longer and the shorter axis."""
    cosine, sine = np.cos(ellipse.angle), np.sin(ellipse.angle)
    return x * cosine + y * sine, y * cosine - x * sine
