"""A tissue that slowly becomes another, and moves meanwhile."""

from dataclasses import replace

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings
from rtrecon.imaging.registration.registrar import FrameShift, Registrar
from rtrecon.imaging.registration.rigid import RigidSearch
from rtrecon.imaging.registration.template_drift import AdaptiveTemplate
from rtrecon.imaging.registration.template_pyramid import build_pyramid
from rtrecon.testing.synthetic_field import make_field

SETTINGS = RegistrationSettings(max_shift_px=8)
RATE_HZ, DRIFT_S = 1.0, 20.0
SIDE_PX = 128
MINUTES = 3
MOTION_PX_PER_S = np.array([0.01, -0.007])
UNMOVED = FrameShift(0.0, 0.0, 1.0, True)


@pytest.fixture(scope="module")
def world():
    return make_field((SIDE_PX, SIDE_PX))


@pytest.fixture(scope="module")
def template(world):
    return world.render_template(2.0, np.random.default_rng(1), 100)


def change_brightness(world, share):
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
        (
            change_brightness(world, 0.8 * k / n_frames).render_frame(2.0, rng, truth),
            truth,
        )
        for k, truth in enumerate(truths)
    ]


def register_session(frames, template, follows):
    """Register the frames; return the template, errors in px, and confidences."""
    registrar = Registrar(template, SETTINGS)
    adaptive = AdaptiveTemplate(template, RATE_HZ, DRIFT_S)
    registered = np.empty(template.shape, np.float32)
    errors, confidences = [], []
    for frame, truth in frames:
        shift = registrar.estimate_shift(frame)
        registrar.undo_shift(frame, shift, registered)
        if follows and shift.is_accepted and adaptive.add_frame(registered, shift):
            registrar.replace_template(adaptive.pyramid)
        errors.append((shift.y_px - truth[0], shift.x_px - truth[1]))
        confidences.append(shift.confidence)
    return adaptive, np.array(errors), np.array(confidences)


@pytest.fixture(scope="module")
def followed(frames, template):
    return register_session(frames, template, follows=True)


@pytest.fixture(scope="module")
def unchanged(frames, template):
    return register_session(frames, template, follows=False)


def test_the_template_follows_slow_change(followed, unchanged):
    first, last = slice(0, 50), slice(-50, None)
    (_, _, with_it), (_, _, without) = followed, unchanged
    assert with_it[last].mean() > 0.95 * with_it[first].mean()
    assert without[last].mean() < 0.85 * without[first].mean()


def test_slow_motion_is_not_absorbed_by_the_template(followed, unchanged):
    (_, errors, _), (_, errors_alone, _) = followed, unchanged
    off, off_alone = errors[-50:].mean(0), errors_alone[-50:].mean(0)
    # Of 1.8 px of motion. The new look itself pulls a little, with or without.
    assert np.abs(off).max() < 0.25
    assert np.abs(off - off_alone).max() < 0.05


def test_the_correlation_with_the_first_template_is_reported(world, followed):
    adaptive, _, _ = followed
    start, now = (
        build_pyramid(np.float32(w.render_image()))[1].pattern.ravel()
        for w in (world, change_brightness(world, 0.75))
    )
    correlation = adaptive.drift.template_correlation
    assert correlation == pytest.approx(np.corrcoef(start, now)[0, 1], abs=0.06)
    assert np.hypot(adaptive.drift.y_px, adaptive.drift.x_px) < 0.2
    # One sentence for each loss of 0.05, or for two at once.
    notices, lost = adaptive.take_notices(), (1 - correlation) / 0.05
    assert lost / 2 < len(notices) <= lost
    assert "correlates 0.9" in notices[0]


def test_without_change_there_is_no_notice(world, template):
    adaptive = AdaptiveTemplate(template, RATE_HZ, DRIFT_S)
    rng = np.random.default_rng(3)
    renewals = [
        adaptive.add_frame(world.render_frame(2.0, rng).astype(np.float32), UNMOVED)
        for _ in range(100)
    ]
    assert sum(renewals) > 4  # one every dozen frames
    assert adaptive.take_notices() == []
    assert adaptive.drift.template_correlation > 0.97


def add_frames(adaptive, image, n=200, shift=UNMOVED):
    for _ in range(n):
        adaptive.add_frame(image, shift)
    return adaptive


def locate_px(template, start):
    peak = RigidSearch(build_pyramid(start.copy()), 8.0).find_peak(template)
    return peak.y, peak.x


def test_a_template_that_moves_is_moved_back(world, template):
    walked = world.render_image((0.6, -0.4)).astype(np.float32) * 60
    adaptive = add_frames(AdaptiveTemplate(template, RATE_HZ, DRIFT_S), walked)
    drift = adaptive.drift
    assert (drift.y_px, drift.x_px) == pytest.approx((0.6, -0.4), abs=0.1)
    new = adaptive.pyramid[0].template
    assert locate_px(new, template) == pytest.approx((0, 0), abs=0.1)


def test_the_template_does_not_follow_another_tissue(template):
    field = make_field((SIDE_PX, SIDE_PX), seed=9)
    other = field.render_image().astype(np.float32) * 60
    adaptive = add_frames(AdaptiveTemplate(template, RATE_HZ, DRIFT_S), other, 400)
    assert adaptive.drift.is_frozen
    notices = adaptive.take_notices()
    assert "no longer follows" in notices[-1]
    assert sum("no longer" in notice for notice in notices) == 1
    assert adaptive.drift.template_correlation < 0.3
    kept = np.corrcoef(adaptive.pyramid[0].template.ravel(), template.ravel())[0, 1]
    assert kept > 0.3


ROWS = np.array([(3.0, -1.5), (-2.2, 0.5)])
# shift -> lines and pixels (top, bottom, left, right) that came from outside the frame
FILLED = [
    (FrameShift(4.2, -3.0, 1.0, True), (0, 5, 3, 0)),
    (FrameShift(-4.0, 2.5, 1.0, True), (4, 0, 0, 3)),
    (FrameShift(0.4, -0.5, 1.0, True, strip_shifts_px=ROWS), (3, 3, 2, 1)),
]


@pytest.mark.parametrize(("shift", "filled"), FILLED)
def test_filled_margins_do_not_enter_the_mean(template, shift, filled):
    adaptive = AdaptiveTemplate(template, 1.0, 2.0)
    adaptive.add_frame(np.zeros_like(template), shift)
    top, bottom, left, right = filled
    expected = template.copy()
    expected[top : SIDE_PX - bottom, left : SIDE_PX - right] *= 0.5
    np.testing.assert_allclose(adaptive.get_state()["mean"], expected, rtol=1e-5)


def test_a_restored_template_continues_from_the_state(world, template):
    image = change_brightness(world, 0.5).render_image().astype(np.float32) * 60
    first = add_frames(AdaptiveTemplate(template, RATE_HZ, DRIFT_S), image, 30)
    second = AdaptiveTemplate(template, RATE_HZ, DRIFT_S)
    second.restore_state(first.get_state())
    np.testing.assert_array_equal(second.pyramid[0].template, first.pyramid[0].template)
    np.testing.assert_array_equal(second.pyramid[0].pattern, first.pyramid[0].pattern)
    assert second.drift == first.drift
    for adaptive in (first, second):
        adaptive.take_notices()
        add_frames(adaptive, image)
    assert second.drift.template_correlation == pytest.approx(
        first.drift.template_correlation, abs=0.01
    )
    assert len(second.take_notices()) == len(first.take_notices())


def test_the_work_on_a_template_is_spread_over_frames(world, template):
    adaptive = AdaptiveTemplate(template, 100.0, DRIFT_S)
    image = world.render_image().astype(np.float32) * 60
    renewed = [adaptive.add_frame(image, UNMOVED) for _ in range(450)]
    # A tenth of the time constant apart, and then a step for every few lines.
    first, second = np.flatnonzero(renewed)
    assert first > 200
    assert second - first == 200
