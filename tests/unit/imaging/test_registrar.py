"""Motion with a known answer, and frames that have none."""

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import FrameShift, Registrar, make_template
from rtrecon.testing.synthetic_field import make_field

SETTINGS = RegistrationSettings(max_shift_px=20)
# lines, pixels, median and largest error in px allowed at 2 photons per pixel
FIELDS = [
    ((255, 300), 0.06, 0.15),
    ((128, 128), 0.15, 0.4),
    ((64, 64), 0.3, 0.9),
    ((30, 40), 0.5, 1.5),
]


def error_px(shift: FrameShift, truth) -> float:
    return float(np.hypot(shift.y_px - truth[0], shift.x_px - truth[1]))


@pytest.fixture(scope="module")
def world():
    return make_field((256, 256))


@pytest.fixture(scope="module")
def template(world):
    return world.render_template(2.0, np.random.default_rng(7))


@pytest.fixture(scope="module")
def small_world():
    return make_field((128, 128))


@pytest.mark.parametrize(("shape", "median_px", "largest_px"), FIELDS)
def test_registration_recovers_a_known_shift(shape, median_px, largest_px):
    rng, world = np.random.default_rng(0), make_field(shape)
    registrar = Registrar(world.render_template(2.0, rng), SETTINGS)
    reach = min(18.0, min(shape) // 4 - 1.5)
    errors = []
    for truth in rng.uniform(-reach, reach, (8, 2)):
        shift = registrar.estimate_shift(world.render_frame(2.0, rng, truth))
        assert shift.is_accepted
        errors.append(error_px(shift, truth))
    assert np.median(errors) < median_px
    assert max(errors) < largest_px


@pytest.mark.parametrize("photons", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("shape", [(128, 128), (64, 64), (30, 40)])
def test_in_dim_frames_a_shift_is_right_or_rejected(shape, photons):
    rng, world = np.random.default_rng(1), make_field(shape)
    registrar = Registrar(world.render_template(2.0, rng), SETTINGS)
    for truth in rng.uniform(-5, 5, (30, 2)):
        shift = registrar.estimate_shift(world.render_frame(photons, rng, truth))
        assert error_px(shift, truth) < 3 or not shift.is_accepted


@pytest.mark.parametrize("shape", [(60, 80), (100, 100), (128, 128)])
def test_small_frames_of_other_fields_are_rejected(shape):
    rng, n_accepted = np.random.default_rng(0), 0
    for seed in range(8):
        world, other = make_field(shape, seed), make_field(shape, seed + 1000)
        registrar = Registrar(world.render_template(2.0, rng), SETTINGS)
        assert registrar.estimate_shift(world.render_frame(2.0, rng)).is_accepted
        far = -20 - shape[0] / 4, 5.0
        unrelated = other.render_frame(2.0, rng), world.render_frame(2.0, rng, far)
        found = [registrar.estimate_shift(frame) for frame in unrelated]
        n_accepted += sum(shift.is_accepted for shift in found)
    assert n_accepted <= 1  # 3 to 5 of these 16 without a limit for small fields


def test_a_template_is_made_from_moving_frames(small_world):
    rng = np.random.default_rng(3)
    truths = rng.normal(0, 3, (60, 2))
    frames = np.array([small_world.render_frame(2.0, rng, truth) for truth in truths])
    frames[10] = -16384
    registrar = Registrar(make_template(frames, SETTINGS), SETTINGS)
    found = [registrar.estimate_shift(frame) for frame in frames]
    assert not found[10].is_accepted
    usable = np.array([s.is_accepted for s in found])
    assert usable.sum() == 59
    errors = np.array([(s.y_px, s.x_px) for s in found])[usable] - truths[usable]
    # The template's own place is arbitrary, but near that of the typical frame.
    assert np.abs(np.median(errors, 0)).max() < 2
    errors -= np.median(errors, 0)
    assert np.median(np.hypot(*errors.T)) < 0.15


@pytest.fixture(scope="module")
def bad_frames(world):
    """Frames that must be rejected, by name."""
    rng = np.random.default_rng(5)
    good = world.render_frame(2.0, rng)
    half_lit, cut, lit, bright = (good.copy() for _ in range(4))
    half_lit[: len(good) // 2] = 32767
    cut[len(good) // 2 :] = 0
    lit[60:90] += 400  # a lamp, for the time of some lines
    bright += 400
    limit = np.iinfo(np.int16).max
    return {
        "zero": np.zeros_like(good),
        "fill": np.full_like(good, -16384),
        "saturated": np.full_like(good, limit),
        "half saturated": half_lit,
        "cut": cut,
        "flash": lit,
        "lamp on": bright,
        "shutter closed": rng.normal(0, 10, good.shape).astype(np.int16),
        "inverted": (limit - good).astype(np.int16),
        "another field": make_field(world.shape, seed=9).render_frame(2.0, rng),
        "beyond the range": world.render_frame(2.0, rng, (25.0, 0.0)),
        "far beyond the range": world.render_frame(2.0, rng, (45.0, 0.0)),
        "upside down": good[::-1],
        "one line": np.broadcast_to(good[100], good.shape),
    }


UNMATCHED = RejectionReason.UNMATCHED
REJECTED = [  # and for which reasons
    ("zero", {RejectionReason.CONSTANT}),
    ("fill", {RejectionReason.CONSTANT}),
    ("saturated", {RejectionReason.CONSTANT}),
    ("half saturated", {RejectionReason.MISSING_LINES}),
    ("cut", {RejectionReason.MISSING_LINES}),
    ("flash", {RejectionReason.LIGHT_LEAK}),
    ("lamp on", {RejectionReason.LIGHT_LEAK}),
    ("shutter closed", {UNMATCHED, RejectionReason.INVERTED}),
    ("inverted", {RejectionReason.INVERTED, RejectionReason.LIGHT_LEAK}),
    ("another field", {UNMATCHED, RejectionReason.INVERTED}),
    ("beyond the range", {RejectionReason.OUT_OF_RANGE}),
    (
        "far beyond the range",
        {RejectionReason.OUT_OF_RANGE, UNMATCHED, RejectionReason.INVERTED},
    ),
    ("upside down", {UNMATCHED, RejectionReason.INVERTED}),
    ("one line", {UNMATCHED, RejectionReason.INVERTED, RejectionReason.OUT_OF_RANGE}),
]


@pytest.mark.parametrize(("name", "reasons"), REJECTED)
def test_a_rejected_frame_repeats_the_last_shift(
    world, template, bad_frames, name, reasons
):
    rng = np.random.default_rng(4)
    registrar = Registrar(template, SETTINGS)
    last = registrar.estimate_shift(world.render_frame(2.0, rng, (4.3, -2.6)))
    shift = registrar.estimate_shift(bad_frames[name])
    assert last.is_accepted
    assert not last.rejection_reason
    assert not shift.is_accepted
    assert shift.rejection_reason in reasons
    assert (shift.y_px, shift.x_px) == (last.y_px, last.x_px)


GAINS = [0.5, 1.5, 3.0]  # of laser or detector: the tissue glows more, nothing else


@pytest.mark.parametrize("gain", GAINS)
def test_more_laser_power_does_not_count_as_a_light_leak(world, template, gain):
    frame = world.render_frame(2.0, np.random.default_rng(6), (2.0, 1.0))
    shift = Registrar(template, SETTINGS).estimate_shift(
        (gain * frame).astype(np.int16)
    )
    assert shift.is_accepted
    assert error_px(shift, (2.0, 1.0)) < 0.2


def test_another_depth_is_rejected_as_out_of_plane(small_world):
    """Other cells come into focus: half of what is seen is not in the template."""
    rng, world = np.random.default_rng(8), small_world
    template = world.render_template(2.0, rng)
    below = make_field(world.shape, seed=4)
    registrar = Registrar(template, SETTINGS)
    for _ in range(60):
        assert registrar.estimate_shift(world.render_frame(2.0, rng)).is_accepted
    shown = (0.35 * world.render_frame(2.0, rng) + below.render_frame(2.0, rng)).astype(
        np.int16
    )
    shift = registrar.estimate_shift(shown)
    assert not shift.is_accepted
    assert shift.rejection_reason == RejectionReason.OUT_OF_PLANE
    again = Registrar(template, SETTINGS)
    again.restore_state(registrar.get_state())
    assert again.estimate_shift(shown).rejection_reason == RejectionReason.OUT_OF_PLANE


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_the_shift_is_undone(world, template, dtype):
    truth = (6.4, -9.7)
    clean = (1000 * world.render_image(truth)).astype(dtype)
    registrar = Registrar(template, SETTINGS)
    out = np.empty(world.shape, np.float32)
    registrar.undo_shift(clean, registrar.estimate_shift(clean), out)
    inner = np.s_[20:-20, 20:-20]
    back = np.corrcoef(out[inner].ravel(), world.render_image()[inner].ravel())[0, 1]
    assert back > 0.995
    # From outside the frame comes the nearest of its edge pixels.
    np.testing.assert_array_equal(out[30:-30, 0:5], out[30:-30, 5:6].repeat(5, 1))


def test_frames_may_be_views_and_read_only(world, template):
    rng = np.random.default_rng(2)
    frame = world.render_frame(2.0, rng, (3.0, 3.0))
    transposed = np.asfortranarray(frame)
    unaligned = np.frombuffer(b"-" + frame.tobytes(), np.uint8)[1:].view(np.int16)
    registrar = Registrar(template, SETTINGS)
    expected = registrar.estimate_shift(frame)
    assert registrar.estimate_shift(transposed) == expected
    assert registrar.estimate_shift(unaligned.reshape(frame.shape)) == expected


REFUSED = [
    (np.zeros((256, 255), np.int16), "shape"),
    (np.zeros((256, 256), np.float32), "int16 or uint16"),
]


@pytest.mark.parametrize(("frame", "message"), REFUSED)
def test_a_frame_of_another_shape_or_type_raises_an_error(template, frame, message):
    with pytest.raises(ValueError, match=message):
        Registrar(template, SETTINGS).estimate_shift(frame)


REFUSED_TEMPLATES = [
    (np.ones((1, 512)), "at least 16 lines"),
    (np.ones((64, 64)), "constant or not finite"),
    (np.full((64, 64), np.nan), "constant or not finite"),
]


@pytest.mark.parametrize(("template", "message"), REFUSED_TEMPLATES)
def test_an_unusable_template_raises_an_error(template, message):
    with pytest.raises(ValueError, match=message):
        Registrar(template.astype(np.float32), SETTINGS)


def test_constant_frames_give_no_template():
    with pytest.raises(ValueError, match="all 12 frames are constant"):
        make_template(np.zeros((12, 64, 64), np.int16))
