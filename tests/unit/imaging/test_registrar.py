"""Motion with a known answer, frames that have none, and real pixels."""

from itertools import product

import numpy as np
import pytest
import tifffile

from rtrecon.config import RegisterSettings
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import Registrar, Shift, make_template
from rtrecon.testing.small_field import field
from tests.support.paths import TEST_DATA

DATA = TEST_DATA
SETTINGS = RegisterSettings(max_shift_px=20)
# lines, pixels, median and largest error in px allowed at 2 photons per pixel
FIELDS = [
    ((512, 512), 0.035, 0.08),
    ((255, 300), 0.06, 0.15),
    ((128, 128), 0.15, 0.4),
    ((64, 64), 0.3, 0.9),
    ((30, 40), 0.5, 1.5),
]


def error_px(shift: Shift, truth) -> float:
    return float(np.hypot(shift.y_px - truth[0], shift.x_px - truth[1]))


@pytest.fixture(scope="module")
def world():
    return field((256, 256))


@pytest.fixture(scope="module")
def template(world):
    return world.template(2.0, np.random.default_rng(7))


@pytest.mark.parametrize(("shape", "median_px", "largest_px"), FIELDS)
def test_known_shifts_are_found(shape, median_px, largest_px):
    rng, world = np.random.default_rng(0), field(shape)
    registrar = Registrar(world.template(2.0, rng), SETTINGS)
    reach = min(18.0, min(shape) // 4 - 1.5)
    errors = []
    for truth in rng.uniform(-reach, reach, (20, 2)):
        shift = registrar.estimate(world.frame(2.0, rng, truth))
        assert shift.trusted
        errors.append(error_px(shift, truth))
    assert np.median(errors) < median_px
    assert max(errors) < largest_px


@pytest.mark.parametrize("photons", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("shape", [(256, 256), (64, 64), (30, 40)])
def test_in_the_dark_a_shift_is_right_or_flagged(shape, photons):
    rng, world = np.random.default_rng(1), field(shape)
    registrar = Registrar(world.template(2.0, rng), SETTINGS)
    for truth in rng.uniform(-5, 5, (30, 2)):
        shift = registrar.estimate(world.frame(photons, rng, truth))
        assert error_px(shift, truth) < 3 or not shift.trusted


def test_the_template_needs_no_more_than_the_frames(world):
    rng = np.random.default_rng(3)
    truths = rng.normal(0, 3, (60, 2))
    frames = np.array([world.frame(2.0, rng, truth) for truth in truths])
    frames[10] = -16384
    registrar = Registrar(make_template(frames, SETTINGS), SETTINGS)
    found = [registrar.estimate(frame) for frame in frames]
    assert not found[10].trusted
    usable = np.array([s.trusted for s in found])
    assert usable.sum() == 59
    errors = np.array([(s.y_px, s.x_px) for s in found])[usable] - truths[usable]
    # The template's own place is arbitrary, but near that of the typical frame.
    assert np.abs(np.median(errors, 0)).max() < 2
    errors -= np.median(errors, 0)
    assert np.median(np.hypot(*errors.T)) < 0.06


def without_trust(world, rng):
    """Frames that cannot be trusted, by name."""
    good = world.frame(2.0, rng)
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
        "another field": field(world.shape, seed=9).frame(2.0, rng),
        "beyond the range": world.frame(2.0, rng, (25.0, 0.0)),
        "far beyond the range": world.frame(2.0, rng, (45.0, 0.0)),
        "upside down": good[::-1],
        "one line": np.broadcast_to(good[100], good.shape),
    }


STRANGER = RejectionReason.STRANGER
NO_TRUST = [  # and what is said of them
    ("zero", {RejectionReason.CONSTANT}),
    ("fill", {RejectionReason.CONSTANT}),
    ("saturated", {RejectionReason.CONSTANT}),
    ("half saturated", {RejectionReason.LINES}),
    ("cut", {RejectionReason.LINES}),
    ("flash", {RejectionReason.LIGHT}),
    ("lamp on", {RejectionReason.LIGHT}),
    ("shutter closed", {STRANGER, RejectionReason.INVERTED}),
    ("inverted", {RejectionReason.INVERTED, RejectionReason.LIGHT}),
    ("another field", {STRANGER, RejectionReason.INVERTED}),
    ("beyond the range", {RejectionReason.FAR}),
    ("far beyond the range", {RejectionReason.FAR, STRANGER, RejectionReason.INVERTED}),
    ("upside down", {STRANGER, RejectionReason.INVERTED}),
    ("one line", {STRANGER, RejectionReason.INVERTED, RejectionReason.FAR}),
]


@pytest.mark.parametrize(("name", "doubts"), NO_TRUST)
def test_a_frame_without_trust_repeats_the_last_shift(world, template, name, doubts):
    rng = np.random.default_rng(5)
    registrar = Registrar(template, SETTINGS)
    last = registrar.estimate(world.frame(2.0, rng, (4.3, -2.6)))
    shift = registrar.estimate(without_trust(world, rng)[name])
    assert last.trusted
    assert not last.reason
    assert not shift.trusted
    assert shift.reason in doubts
    assert (shift.y_px, shift.x_px) == (last.y_px, last.x_px)


GAINS = [0.5, 1.5, 3.0]  # of laser or detector: the tissue glows more, nothing else


@pytest.mark.parametrize("gain", GAINS)
def test_more_laser_power_is_no_light_leak(world, template, gain):
    frame = world.frame(2.0, np.random.default_rng(6), (2.0, 1.0))
    shift = Registrar(template, SETTINGS).estimate((gain * frame).astype(np.int16))
    assert shift.trusted
    assert error_px(shift, (2.0, 1.0)) < 0.2


def test_another_depth_is_told_from_the_usual_match(world, template):
    """Other cells come into focus: half of what is seen is not in the template."""
    rng = np.random.default_rng(8)
    below = field(world.shape, seed=4)
    registrar = Registrar(template, SETTINGS)
    for _ in range(60):
        assert registrar.estimate(world.frame(2.0, rng)).trusted
    shown = (0.35 * world.frame(2.0, rng) + below.frame(2.0, rng)).astype(np.int16)
    shift = registrar.estimate(shown)
    assert not shift.trusted
    assert shift.reason == RejectionReason.PLANE
    again = Registrar(template, SETTINGS)
    again.restore(registrar.state())
    assert again.estimate(shown).reason == RejectionReason.PLANE


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_the_shift_is_undone(world, template, dtype):
    truth = (6.4, -9.7)
    clean = (1000 * world.image(truth)).astype(dtype)
    registrar = Registrar(template, SETTINGS)
    out = np.empty(world.shape, np.float32)
    registrar.apply(clean, registrar.estimate(clean), out)
    inner = np.s_[20:-20, 20:-20]
    back = np.corrcoef(out[inner].ravel(), world.image()[inner].ravel())[0, 1]
    assert back > 0.995
    # From outside the frame comes the nearest of its edge pixels.
    np.testing.assert_array_equal(out[30:-30, 0:5], out[30:-30, 5:6].repeat(5, 1))


def test_frames_may_be_views_and_read_only(world, template):
    rng = np.random.default_rng(2)
    frame = world.frame(2.0, rng, (3.0, 3.0))
    transposed = np.asfortranarray(frame)
    unaligned = np.frombuffer(b"-" + frame.tobytes(), np.uint8)[1:].view(np.int16)
    registrar = Registrar(template, SETTINGS)
    expected = registrar.estimate(frame)
    assert registrar.estimate(transposed) == expected
    assert registrar.estimate(unaligned.reshape(frame.shape)) == expected


REFUSED = [
    (np.zeros((256, 255), np.int16), "shape"),
    (np.zeros((256, 256), np.float32), "int16 or uint16"),
]


@pytest.mark.parametrize(("frame", "said"), REFUSED)
def test_what_is_no_frame_is_refused(template, frame, said):
    with pytest.raises(ValueError, match=said):
        Registrar(template, SETTINGS).estimate(frame)


REFUSED_TEMPLATES = [
    (np.ones((1, 512)), "at least 16 lines"),
    (np.ones((64, 64)), "constant or not finite"),
    (np.full((64, 64), np.nan), "constant or not finite"),
]


@pytest.mark.parametrize(("template", "said"), REFUSED_TEMPLATES)
def test_what_is_no_template_is_refused(template, said):
    with pytest.raises(ValueError, match=said):
        Registrar(template.astype(np.float32), SETTINGS)


def test_no_template_from_constant_frames():
    with pytest.raises(ValueError, match="all 12 frames are constant"):
        make_template(np.zeros((12, 64, 64), np.int16))


def real_movies():
    """Yield (name, frames) of the real movies at hand."""
    crop = DATA / "twophoton" / "crop256_600frames_u16.npz"
    full = DATA / "scanimage" / "replay_real_pixels_synthetic_SI_header.tif"
    if not crop.exists() or not full.exists():
        pytest.skip(f"no real recordings in {DATA}")
    with np.load(crop) as stored:
        yield "crop", stored["movie"][::6]
    with tifffile.TiffFile(full) as file:
        yield "full", np.array([page.asarray() for page in file.pages[:60]])


def test_real_frames_moved_on_purpose_are_moved_back():
    moves = [(5, -7), (12, 12), (-20, 3), (0, 31), (-31, -31)]
    margin = 32
    for name, frames in real_movies():
        inner = np.s_[margin:-margin, margin:-margin]
        registrar = Registrar(make_template(frames[:, *inner]), RegisterSettings())
        errors = []
        for frame, (y, x) in product(frames[:8], moves):
            before = registrar.estimate(frame[inner])
            after = registrar.estimate(np.roll(frame, (y, x), (0, 1))[inner])
            assert before.trusted
            assert after.trusted, f"{name}: {y, x}"
            truth = (before.y_px + y, before.x_px + x)
            errors.append(error_px(after, truth))
        assert np.median(errors) < 0.05, name
        assert max(errors) < 0.3, name
