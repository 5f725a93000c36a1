"""Simulated frames have the noise, the motion and the indicator that are specified."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from rtrecon.core.errors import UserError
from rtrecon.simulate.microscope import calcium_dff, image_field, make_imaged_field
from rtrecon.simulate.movie import RATE_HZ


def describe_motion(shift_px):
    """Return s.d., s.d. of the change per frame, and r at half a second, of y and x."""
    still = shift_px - shift_px.mean(0)
    later = (still[15:] * still[:-15]).mean(0) / still.var(0)
    return np.stack([still.std(0), np.diff(shift_px, axis=0).std(0), later])


def test_simulated_motion_is_like_measured_motion(shared_data):
    path = shared_data / "twophoton" / "real_shifts_and_traces.npz"
    if not path.exists():
        pytest.skip(f"no real motion at {path}")
    with np.load(path) as real:
        expected = describe_motion(real["shifts_yx"])
    simulated = describe_motion(make_quiet_recording(3000).shift_px)
    np.testing.assert_allclose(simulated, expected, rtol=0.35)


def make_quiet_recording(n_frames):
    """Return a recording of a field in which no neuron fires."""
    field = make_imaged_field(30, side_px=128, seed=2)
    return image_field(field, np.zeros((n_frames, 30), np.float32), RATE_HZ, seed=0)


def make_still_recording(n_frames, shift_px=(0.0, 0.0)):
    """Return a recording without any activity, at a constant shift."""
    recording = make_quiet_recording(n_frames)
    return dataclasses.replace(
        recording,
        neuropil=np.zeros_like(recording.neuropil),
        shift_px=np.full((n_frames, 2), shift_px, np.float32),
    )


def render_frames(recording):
    blank = np.empty(recording.field.tissue.shape, np.int16)
    return np.stack(
        [recording.render_frame(i, blank).copy() for i in range(len(recording))]
    )


def test_a_rendered_frame_is_int16_and_repeatable():
    recording = make_still_recording(3)
    frames, again = render_frames(recording), render_frames(recording)
    assert frames.dtype == np.int16
    np.testing.assert_array_equal(frames, again)
    assert (frames[0] != frames[1]).mean() > 0.8


def test_frame_noise_is_photon_noise_plus_read_noise():
    recording = make_still_recording(100)
    optics = recording.field.optics
    frames = render_frames(recording).astype(float)
    level, variance = frames.mean(0).ravel(), frames.var(0).ravel()
    gain, dark = np.polyfit(level - optics.detector_offset, variance, 1)
    assert gain == pytest.approx(optics.gain, rel=0.1)
    assert np.sqrt(max(dark, 0)) < 3 * optics.read_noise
    noise = frames - frames.mean(0)
    for axis in (0, 1, 2):  # a frame and the next, a pixel and its neighbours
        a, b = np.delete(noise, 0, axis), np.delete(noise, -1, axis)
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("shift_px", [(3.0, -2.0), (-1.5, 4.25)])
def test_a_rendered_frame_is_shifted_by_the_true_motion(shift_px):
    still = render_frames(make_still_recording(200)).mean(0)
    moved = render_frames(make_still_recording(200, shift_px)).mean(0)
    inside = (slice(8, -8), slice(8, -8))
    expected = ndimage.shift(still, shift_px, order=1)
    error = np.std(moved[inside] - expected[inside])
    unmoved = np.std(moved[inside] - still[inside])
    assert error < 0.25 * unmoved


def test_a_spike_raises_dff_by_a_quarter_and_decays_with_the_indicator():
    spikes = np.zeros((90, 1), np.float32)
    spikes[10] = 1
    dff = calcium_dff(spikes, RATE_HZ, decay_s=0.7)[:, 0]
    assert not dff[:10].any()
    assert dff.max() == pytest.approx(0.25, rel=0.02)
    assert dff[10:].argmax() <= 4
    assert dff[21 + 30] / dff[30] == pytest.approx(np.exp(-1), rel=0.1)


def test_a_field_that_is_too_small_for_its_neurons_is_refused():
    with pytest.raises(
        UserError, match=r"200 neurons do not fit .* 64 x 64 px .*fewer"
    ):
        make_imaged_field(200, side_px=64, seed=0)
