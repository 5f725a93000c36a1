"""Fields of fewer than 16 lines: traces without registration, and one sentence."""

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings, Settings
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.reference import StoredField, build_reference
from rtrecon.rois.roi_set import build_roi_set

SHAPES = [(1, 96), (8, 64), (15, 300), (64, 8)]


def make_rois(shape):
    cols = np.arange(2, 6)
    cells = [
        (np.full(4, row), cols, np.ones(4, np.float32)) for row in {0, shape[0] - 1}
    ]
    return build_roi_set(np.arange(len(cells)), shape, cells)


def make_frames(shape, n_frames=40):
    rng = np.random.default_rng(0)
    field = rng.normal(300, 80, shape)
    return [
        (field + rng.normal(0, 10, shape)).astype(np.int16) for _ in range(n_frames)
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("has_stored_image", [False, True])
def test_a_small_field_gives_traces_and_one_sentence(shape, has_stored_image):
    frames = make_frames(shape)
    image = np.mean(frames, 0, dtype=np.float32) if has_stored_image else None
    settings = Settings(registration=RegistrationSettings(template_drift_s=10.0))
    stored = StoredField(make_rois(shape), image)
    reference = build_reference(frames, stored, settings)
    about_motion = [notice for notice in reference.notices if "motion" in notice]
    assert about_motion == [
        f"motion is not corrected: the field has {shape[0]} x {shape[1]} pixels, and "
        "registration needs 16 lines and pixels"
    ]
    processor = FrameProcessor(reference.template, reference.masks, 30.0, settings)
    processor.warm_up()
    for frame in frames:
        traces = processor.process_frame(frame)
        assert traces.shift.is_accepted
        assert np.isfinite(traces.dff).all()
        np.testing.assert_array_equal(processor.registered_image, frame)
    restored = FrameProcessor(reference.template, reference.masks, 30.0, settings)
    restored.restore_state(processor.get_state())
    dark = restored.process_frame(np.zeros(shape, np.int16))
    assert dark.shift.rejection_reason == "constant image"


def test_frames_without_contrast_give_no_reference():
    shape = (8, 64)
    with pytest.raises(ValueError, match="all 3 frames are constant"):
        build_reference(
            [np.zeros(shape, np.int16)] * 3,
            StoredField(make_rois(shape), None),
            Settings(),
        )
