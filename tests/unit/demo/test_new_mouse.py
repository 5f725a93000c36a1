"""The demo of a new mouse: what it sends in haste, and the settings of its daemon."""

from __future__ import annotations

from rtrecon.demo.new_mouse import FAST_MINUTES, choose_speed, make_new_mouse_settings
from rtrecon.rois.readers.registry import load_rois
from rtrecon.simulate.movie import RATE_HZ
from rtrecon.testing.synthetic_field import make_field


def test_the_demo_is_in_real_time_once_it_has_enough_minutes():
    first_slow = round(FAST_MINUTES * 60 * RATE_HZ)
    assert choose_speed(first_slow - 1) > 1
    assert choose_speed(first_slow) == 1


def test_the_daemon_gets_the_masks_of_the_mouse_and_no_encoder(tmp_path):
    masks = make_field((64, 64)).make_rois()
    settings = make_new_mouse_settings(tmp_path, masks)
    assert settings.encoder.checkpoint is None
    assert settings.calibration.enabled
    assert settings.recording.enabled
    found = load_rois(settings.rois.path, (64, 64), settings.rois)
    assert len(found) == len(masks)
    assert sorted(zip(found.rows, found.cols, strict=True)) == sorted(
        zip(masks.rows, masks.cols, strict=True)
    )
