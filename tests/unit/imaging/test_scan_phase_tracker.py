"""The scan phase moves during a session, and registration follows it."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import Settings
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.registration.scan_phase_tracker import PERIOD_S, ScanPhaseTracker
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.testing.synthetic_field import make_field
from tests.unit.imaging.test_scan_phase import make_frames, render_scanned

RATE_HZ, SIDE_PX = 2.0, 192
FRAMES = round(PERIOD_S * RATE_HZ)  # of a period


@pytest.fixture(scope="module")
def world():
    return make_field((SIDE_PX, SIDE_PX))


def make_tracker(offset_px: float = 0.0) -> ScanPhaseTracker:
    return ScanPhaseTracker((SIDE_PX, SIDE_PX), RATE_HZ, offset_px)


def follow(world, tracker: ScanPhaseTracker, offsets_px: list[float]) -> list[float]:
    """Show one period of frames at each offset; return what is tracked after each."""
    tracked = []
    for seed, offset_px in enumerate(offsets_px):
        image = render_scanned(world, offset_px)
        for frame in make_frames(image, 2.0, FRAMES, seed):
            tracker.add_frame(frame)
        tracked.append(tracker.offset_px)
    return tracked


def test_a_phase_that_moves_by_a_pixel_over_two_minutes_is_followed(world):
    offsets_px = np.linspace(0.0, 1.0, 12)
    tracked = follow(world, make_tracker(), offsets_px.tolist())
    assert np.abs(np.array(tracked) - offsets_px).max() < 0.2
    assert tracked[-1] == pytest.approx(1.0, abs=0.15)


def test_a_phase_that_stands_still_changes_nothing(world):
    tracker = make_tracker(-1.0)
    assert follow(world, tracker, [-1.0] * 3) == [-1.0] * 3
    assert not tracker.take_notices()


def test_half_a_pixel_is_reported_once(world):
    tracker = make_tracker()
    follow(world, tracker, [0.8, 0.8])
    (notice,) = tracker.take_notices()
    assert "px to the right of even ones, before +0.0 px" in notice


def test_noise_moves_nothing():
    tracker, rng = make_tracker(0.4), np.random.default_rng(0)
    for frame in rng.poisson(20, (3 * FRAMES, SIDE_PX, SIDE_PX)).astype(np.int16):
        assert not tracker.add_frame(frame)


def test_a_restored_tracker_continues_where_it_was(world):
    frames = make_frames(render_scanned(world, 0.7), 2.0, FRAMES)
    whole, first, second = (make_tracker() for _ in range(3))
    for frame in frames[:15]:
        whole.add_frame(frame)
        first.add_frame(frame)
    second.restore_state(first.get_state())
    for frame in frames[15:]:
        assert whole.add_frame(frame) == second.add_frame(frame)
    assert second.offset_px == whole.offset_px != 0.0


def test_registration_uses_the_phase_that_it_follows(world):
    template = (60 * world.render_image()).astype(np.float32)
    settings = Settings()
    masks = make_cell_masks(world.make_rois(), settings.traces)
    processor = FrameProcessor(template, masks, RATE_HZ, settings)
    frames = make_frames(render_scanned(world, 1.5), 2.0, FRAMES + 1)
    confidences = [processor.process_frame(frame).shift.confidence for frame in frames]
    assert confidences[-1] > confidences[0] + 0.05
    assert "the scan phase has moved" in processor.take_notices()[0]
