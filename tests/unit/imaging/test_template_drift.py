"""A tissue that slowly becomes another, and moves meanwhile."""

from dataclasses import replace

import numpy as np
import pytest

from rtrecon.config import RegisterSettings
from rtrecon.imaging.registration.registrar import Registrar, Shift
from rtrecon.imaging.registration.rigid import RigidSearch
from rtrecon.imaging.registration.template_drift import DriftingTemplate
from rtrecon.imaging.registration.template_pyramid import levels
from rtrecon.testing.small_field import field

SETTINGS = RegisterSettings(max_shift_px=8)
RATE_HZ, DRIFT_S = 1.0, 20.0
MINUTES = 4
MOTION_PX_PER_S = np.array([0.01, -0.007])
STILL = Shift(0.0, 0.0, 1.0, True)


@pytest.fixture(scope="module")
def world():
    return field((128, 128))


@pytest.fixture(scope="module")
def template(world):
    return world.template(2.0, np.random.default_rng(1), 100)


def changed(world, share):
    """The world where each spot took that share of another's brightness."""
    n, rng = world.n_cells, np.random.default_rng(5)
    order = np.concatenate(
        [rng.permutation(n), n + rng.permutation(len(world.heights) - n)]
    )
    heights = (1 - share) * world.heights + share * world.heights[order]
    return replace(world, heights=heights)


@pytest.fixture(scope="module")
def frames(world):
    """Yield (frame, shift) over minutes of slow change and motion."""
    rng, n_frames = np.random.default_rng(2), round(MINUTES * 60 * RATE_HZ)
    truths = np.linspace(0, n_frames / RATE_HZ, n_frames)[:, None] * MOTION_PX_PER_S
    return [
        (changed(world, 0.8 * k / n_frames).frame(2.0, rng, truth), truth)
        for k, truth in enumerate(truths)
    ]


def session(frames, template, follows):
    """Register the frames; return the template, errors in px, and confidences."""
    registrar = Registrar(template, SETTINGS)
    drifting = DriftingTemplate(template, RATE_HZ, DRIFT_S)
    registered = np.empty(template.shape, np.float32)
    errors, confidences = [], []
    for frame, truth in frames:
        shift = registrar.estimate(frame)
        registrar.apply(frame, shift, registered)
        if follows and shift.trusted and drifting.take(registered, shift):
            registrar.follow(drifting.scales)
        errors.append((shift.y_px - truth[0], shift.x_px - truth[1]))
        confidences.append(shift.confidence)
    return drifting, np.array(errors), np.array(confidences)


@pytest.fixture(scope="module")
def followed(frames, template):
    return session(frames, template, follows=True)


@pytest.fixture(scope="module")
def left_alone(frames, template):
    return session(frames, template, follows=False)


def test_slow_change_is_followed(followed, left_alone):
    first, last = slice(0, 50), slice(-50, None)
    (_, _, with_it), (_, _, without) = followed, left_alone
    assert with_it[last].mean() > 0.95 * with_it[first].mean()
    assert without[last].mean() < 0.85 * without[first].mean()


def test_slow_motion_is_reported_and_not_swallowed(followed, left_alone):
    (_, errors, _), (_, errors_alone, _) = followed, left_alone
    off, off_alone = errors[-50:].mean(0), errors_alone[-50:].mean(0)
    # Of 2.4 px of motion. The new look itself pulls a little, with or without.
    assert np.abs(off).max() < 0.25
    assert np.abs(off - off_alone).max() < 0.05


def test_how_far_it_has_gone_is_told(world, followed):
    drifting, _, _ = followed
    start, now = (
        levels(np.float32(w.image()))[1].pattern.ravel()
        for w in (world, changed(world, 0.75))
    )
    look = drifting.drift.look
    assert look == pytest.approx(np.corrcoef(start, now)[0, 1], abs=0.06)
    assert np.hypot(drifting.drift.y_px, drifting.drift.x_px) < 0.2
    # One sentence for each 0.05 lost, or two losts at once.
    assert (1 - look) / 0.05 / 2 < len(drifting.notices) <= (1 - look) / 0.05
    assert "correlates 0.9" in drifting.notices[0]


def test_without_change_nothing_is_said(world, template):
    drifting = DriftingTemplate(template, RATE_HZ, DRIFT_S)
    rng = np.random.default_rng(3)
    renewals = [
        drifting.take(world.frame(2.0, rng).astype(np.float32), STILL)
        for _ in range(100)
    ]
    assert sum(renewals) > 4  # one every dozen frames
    assert drifting.notices == []
    assert drifting.drift.look > 0.97


def fed(drifting, image, n=200, shift=STILL):
    for _ in range(n):
        drifting.take(image, shift)
    return drifting


def place_px(template, start):
    peak = RigidSearch(levels(start.copy()), 8.0).find(template)
    return peak.y, peak.x


def test_a_template_that_walks_is_put_back(world, template):
    walked = world.image((0.6, -0.4)).astype(np.float32) * 60
    drifting = fed(DriftingTemplate(template, RATE_HZ, DRIFT_S), walked)
    drift = drifting.drift
    assert (drift.y_px, drift.x_px) == pytest.approx((0.6, -0.4), abs=0.1)
    new = drifting.scales[0].template
    assert place_px(new, template) == pytest.approx((0, 0), abs=0.1)


def test_another_tissue_is_not_followed(template):
    stranger = field((128, 128), seed=9).image().astype(np.float32) * 60
    drifting = fed(DriftingTemplate(template, RATE_HZ, DRIFT_S), stranger, 400)
    assert drifting.drift.held
    assert "no longer follows" in drifting.notices[-1]
    assert sum("no longer" in notice for notice in drifting.notices) == 1
    assert drifting.drift.look < 0.3
    kept = np.corrcoef(drifting.scales[0].template.ravel(), template.ravel())[0, 1]
    assert kept > 0.3


ROWS = np.array([(3.0, -1.5), (-2.2, 0.5)])
# shift -> lines and pixels (top, bottom, left, right) that came from outside the frame
FILLED = [
    (Shift(4.2, -3.0, 1.0, True), (0, 5, 3, 0)),
    (Shift(-4.0, 2.5, 1.0, True), (4, 0, 0, 3)),
    (Shift(0.4, -0.5, 1.0, True, rows_px=ROWS), (3, 3, 2, 1)),
]


@pytest.mark.parametrize(("shift", "filled"), FILLED)
def test_what_lay_outside_the_frame_is_not_taken(template, shift, filled):
    drifting = DriftingTemplate(template, 1.0, 2.0)
    drifting.take(np.zeros_like(template), shift)
    top, bottom, left, right = filled
    expected = template.copy()
    expected[top : 128 - bottom, left : 128 - right] *= 0.5
    np.testing.assert_allclose(drifting.state()["mean"], expected, rtol=1e-5)


def test_a_restart_goes_on_from_the_state(world, template):
    image = changed(world, 0.5).image().astype(np.float32) * 60
    first = fed(DriftingTemplate(template, RATE_HZ, DRIFT_S), image, 30)
    second = DriftingTemplate(template, RATE_HZ, DRIFT_S)
    second.restore(first.state())
    np.testing.assert_array_equal(second.scales[0].template, first.scales[0].template)
    np.testing.assert_array_equal(second.scales[0].pattern, first.scales[0].pattern)
    assert second.drift == first.drift
    for drifting in (first, second):
        drifting.notices.clear()
        fed(drifting, image)
    assert second.drift.look == pytest.approx(first.drift.look, abs=0.01)
    assert len(second.notices) == len(first.notices)


def test_work_on_a_template_is_spread_over_frames(world, template):
    drifting = DriftingTemplate(template, 100.0, DRIFT_S)
    image = world.image().astype(np.float32) * 60
    renewed = [drifting.take(image, STILL) for _ in range(450)]
    # A tenth of the time constant apart, and then a step for every few lines.
    first, second = np.flatnonzero(renewed)
    assert first > 200
    assert second - first == 200
