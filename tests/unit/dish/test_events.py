import numpy as np

from rtrecon.dish.contact_finder import CONTACT_DTYPE
from rtrecon.dish.contact_tracker import ContactTracker
from rtrecon.dish.events import DishEventKind
from rtrecon.dish.frame_check import FrameCheck, PictureDefect
from rtrecon.dish.retractions import RetractionMonitor
from tests.unit.dish.drawing import Drawing

TOUCH = np.array([(30.0, 40.0, 1, 2, False)], CONTACT_DTYPE)
NONE = TOUCH[:0]


def kinds(events):
    return [event.kind for event in events]


def test_a_touch_is_reported_once_after_two_sightings():
    tracker = ContactTracker(2, 4)
    assert tracker.update(0, TOUCH) == []
    (event,) = tracker.update(1, TOUCH)
    assert (event.kind, event.start_frame) == (DishEventKind.CONTACT, 0)
    assert tracker.update(2, TOUCH) == []


def test_a_touch_is_lost_after_four_frames_without_it():
    tracker = ContactTracker(2, 4)
    for frame in range(3):
        tracker.update(frame, TOUCH)
    reported = [kinds(tracker.update(frame, NONE)) for frame in range(3, 8)]
    assert reported == [[], [], [], [DishEventKind.CONTACT_LOST], []]


def test_a_touch_seen_once_is_never_reported():
    tracker = ContactTracker(2, 4)
    tracker.update(0, TOUCH)
    assert [kinds(tracker.update(frame, NONE)) for frame in range(1, 9)] == [[]] * 8


def test_a_touch_that_slides_stays_the_same():
    tracker = ContactTracker(2, 4)
    for frame in range(10):
        touch = TOUCH.copy()
        touch["x"] += 5 * frame
        tracker.update(frame, touch)
    assert tracker.contacts["id"].tolist() == [1]


def test_a_neuron_that_loses_half_its_length_retracts_once():
    monitor = RetractionMonitor()
    lengths = [100.0] * 6 + [98.0, 45.0, 44.0, 44.0, 43.0]
    reported = [monitor.update({7: length}) for length in lengths]
    assert [k for k, numbers in enumerate(reported) if numbers] == [8]


def test_one_bad_frame_is_no_retraction():
    monitor = RetractionMonitor()
    lengths = [100.0] * 6 + [40.0] + [100.0] * 3
    assert not any(monitor.update({7: length}) for length in lengths)


def pictures(n):
    drawing = Drawing().add_body(60, 60).add_neurite((60, 60), (60, 140))
    return [drawing.render(seed) for seed in range(n)]


def check_after_good_ones(image):
    check = FrameCheck()
    assert [check.find_defect(good) for good in pictures(5)] == [""] * 5
    return check.find_defect(image)


def test_a_closed_shutter_is_found():
    dark = np.random.default_rng(0).poisson(100, (160, 160)).astype(np.uint16)
    assert check_after_good_ones(dark) is PictureDefect.DARK
    assert check_after_good_ones(np.zeros_like(dark)) is PictureDefect.CONSTANT


def test_saturation_is_found():
    image = pictures(1)[0]
    image[:80] = 65535
    assert check_after_good_ones(image) is PictureDefect.SATURATED


def test_defocus_is_found():
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(pictures(1)[0].astype(float), 3.5)
    noise = np.random.default_rng(0).normal(0, 15, blurred.shape)
    assert (
        check_after_good_ones((blurred + noise).astype(np.uint16))
        is PictureDefect.OUT_OF_FOCUS
    )


def test_a_bubble_is_found():
    image = pictures(1)[0].astype(float)
    image[:70, :160] *= 0.4
    assert check_after_good_ones(image.astype(np.uint16)) is PictureDefect.SHADED
