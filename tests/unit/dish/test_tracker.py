import numpy as np
import pytest
from pydantic import ValidationError

from rtrecon.config.dish import DishSettings
from rtrecon.core.errors import UserError
from rtrecon.dish.dish_frame import LOOSE
from rtrecon.dish.events import DishEventKind
from rtrecon.dish.pixel_scale import choose_pixel_scale
from rtrecon.dish.tracker import DishTracker
from tests.unit.dish.drawing import SETTINGS, Drawing, draw_pair


def film(gaps):
    return [draw_pair(gap).render(seed) for seed, gap in enumerate(gaps)]


def run(tracker, images):
    return [tracker.process_frame(image) for image in images]


def test_two_neurons_that_meet_are_reported_as_a_touch():
    frames = run(DishTracker(SETTINGS), film([40, 30, 20, 12, 0, 0, 0]))
    events = [event for frame in frames for event in frame.events]
    assert [event.kind for event in events] == [DishEventKind.CONTACT]
    assert events[0].describe() == "neurons 1 and 2 touch"
    assert np.hypot(events[0].y - 80, events[0].x - 118) < 6
    assert frames[-1].figures.n_contacts == 1
    assert set(np.unique(frames[-1].owners)) <= {0, 1, 2, LOOSE}


def test_the_length_of_neurites_is_measured_in_um():
    frames = run(DishTracker(SETTINGS), film([20, 20, 20]))
    # From the rim of the body, radius 7 px, to the end.
    lengths = {round(row["y"], -1): row["length_um"] for row in frames[-1].bodies}
    assert lengths[80] == pytest.approx((99 - 37) * 0.8, rel=0.1)
    assert lengths[40] == pytest.approx((130 - 47) * 0.8, rel=0.1)


def test_a_restart_goes_on_with_the_same_numbers():
    images = film([40, 30, 20, 12, 0, 0, 0, 0])
    whole = run(DishTracker(SETTINGS), images)
    before, after = DishTracker(SETTINGS), DishTracker(SETTINGS)
    run(before, images[:5])
    after.restore_state(before.get_state())
    continued = run(after, images[5:])
    for one, other in zip(whole[5:], continued, strict=True):
        assert one.frame == other.frame
        assert one.events == other.events
        np.testing.assert_array_equal(one.owners, other.owners)
        np.testing.assert_array_equal(one.contacts, other.contacts)


def test_a_stage_that_comes_back_elsewhere_keeps_the_numbers():
    drawing = draw_pair(20).add_body(130, 60)
    images = [drawing.render(seed) for seed in range(5)]
    moved = np.roll(drawing.render(9), (-20, 12), (0, 1))
    tracker = DishTracker(SETTINGS)
    before = run(tracker, images)[-1]
    after = tracker.process_frame(moved)
    assert "stage came back elsewhere" in after.notices[0]
    np.testing.assert_array_equal(after.bodies["number"], before.bodies["number"])
    assert after.bodies["x"] - before.bodies["x"] == pytest.approx([12] * 3, abs=1)


def test_a_picture_that_is_out_of_focus_claims_nothing_and_is_reported_once():
    from scipy.ndimage import gaussian_filter

    tracker = DishTracker(SETTINGS)
    run(tracker, film([20] * 4))
    noise = np.random.default_rng(0).normal(0, 15, (160, 160))
    blurred = gaussian_filter(draw_pair(20).render().astype(float), 3.5) + noise
    frames = run(tracker, [blurred.astype(np.uint16)] * 2)
    assert [len(frame.events) for frame in frames] == [1, 0]
    assert frames[0].notices == ("the picture is out of focus: refocus the microscope",)
    assert not frames[0].is_claimed.any()
    assert len(frames[0].bodies) == 2


def test_a_culture_that_is_too_dense_has_no_owners_and_a_sentence():
    drawing = Drawing().add_body(80, 80)
    for k in range(8, 160, 16):
        drawing.add_neurite((k, 4), (k, 155)).add_neurite((4, k), (155, k))
    frame = run(DishTracker(SETTINGS), [drawing.render()])[0]
    assert frame.is_dense
    assert "too dense" in frame.notices[0]
    assert not frame.is_claimed.any()
    assert len(frame.contacts) == 0
    assert frame.figures.length_mm_per_mm2 > 40


def test_one_body_and_no_body_have_their_sentences():
    one = run(DishTracker(SETTINGS), [Drawing().add_body(80, 80).render()])[0]
    none = run(DishTracker(SETTINGS), [Drawing().render()])[0]
    assert one.notices == ("only one body is found: there can be no touches",)
    assert "no body is found" in none.notices[0]


def test_a_strong_objective_gives_the_same_figures():
    small = draw_pair(20)
    frames = {}
    for factor in (1, 4):
        settings = DishSettings(um_per_px=0.8 / factor, interval_s=600.0)
        tracker = DishTracker(settings)
        for seed in range(2):
            image = small.render(seed).repeat(factor, 0).repeat(factor, 1)
            frames[factor] = tracker.process_frame(image)
    assert frames[4].owners.shape == (640, 640)
    for name, ratio in (("length_um", 1), ("x", 4), ("y", 4), ("area_um2", 1)):
        expected = frames[1].bodies[name] * ratio
        assert frames[4].bodies[name] == pytest.approx(expected, rel=0.08)


def test_a_segment_that_the_user_gives_to_a_neuron_stays_with_it():
    tracker = DishTracker(SETTINGS)
    run(tracker, film([0] * 4))
    assert tracker.reassign_segment(120, 120, 1)
    frame = run(tracker, film([0] * 3))[-1]
    assert set(frame.owners[100:125, 120].tolist()) == {1}
    assert not tracker.reassign_segment(10, 10, 1)


def test_another_size_of_the_picture_has_its_sentence():
    tracker = DishTracker(SETTINGS)
    run(tracker, film([20]))
    with pytest.raises(UserError, match="was the binning of the camera changed"):
        tracker.process_frame(np.zeros((80, 80), np.uint16))
    with pytest.raises(UserError, match="gray pictures"):
        DishTracker(SETTINGS).process_frame(np.zeros((80, 80, 3), np.uint8))


def test_bodies_of_a_few_pixels_have_their_sentence():
    with pytest.raises(UserError, match="have only 4"):
        choose_pixel_scale(DishSettings(um_per_px=3.0, interval_s=600.0))


def test_scale_and_interval_are_required():
    with pytest.raises(ValidationError):
        DishSettings.model_validate({"body_um": 12.0})


def test_phase_contrast_is_refused_with_a_sentence():
    image = draw_pair(20).render().astype(float)
    ground = np.median(image)
    halo = image - ground
    dark = 2 * ground - 0.6 * halo + 0.5 * np.roll(halo, 6, 1)
    noise = np.random.default_rng(0).normal(0, 8, dark.shape)
    (frame,) = run(DishTracker(SETTINGS), [(dark + noise).astype(np.uint16)])
    assert not frame.is_traced
    assert "only fluorescence can be traced" in frame.notices[0]


def test_a_body_that_appears_and_one_that_disappears_are_reported():
    tracker = DishTracker(SETTINGS)
    two, three = draw_pair(20), draw_pair(20).add_body(120, 60)
    images = [two.render(seed) for seed in range(4)]
    images += [three.render(seed) for seed in range(10, 17)]
    images += [two.render(seed) for seed in range(20, 27)]
    events = [event for frame in run(tracker, images) for event in frame.events]
    assert [(event.kind, event.start_frame, event.first) for event in events] == [
        (DishEventKind.NEW_BODY, 4, 3),
        (DishEventKind.DEATH, 10, 3),
    ]
