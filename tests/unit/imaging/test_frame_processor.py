"""The whole frame processor on a field that moves and flashes."""

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings, Settings, TracesSettings
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.rois.roi_set import build_roi_set
from rtrecon.testing.synthetic_field import make_field

RATE_HZ = 30.0
N_FRAMES = 240


@pytest.fixture(scope="module")
def world():
    return make_field((96, 96))


@pytest.fixture(scope="module")
def dff(world):
    """(n_frames, n_cells) true dF/F."""
    rng = np.random.default_rng(4)
    truth = (rng.random((N_FRAMES, world.n_cells)) < 0.03) * 2.0
    for k in range(1, N_FRAMES):
        truth[k] += 0.95 * truth[k - 1]
    return truth


@pytest.fixture(scope="module")
def frames(world, dff):
    """A movie under which the brain wanders by a few pixels."""
    rng = np.random.default_rng(5)
    shifts = rng.normal(0, 2.0, (N_FRAMES, 2))
    return np.array(
        [world.render_frame(3.0, rng, s, a) for s, a in zip(shifts, dff, strict=True)]
    )


def with_lag(lag_frames):
    return Settings(traces=TracesSettings(deconvolution_lag_frames=lag_frames))


def make_processor_on(template, rois, settings):
    return FrameProcessor(
        template, make_cell_masks(rois, settings.traces), RATE_HZ, settings
    )


def make_processor(world, settings=None):
    template = (90 * world.render_image()).astype(np.float32)
    return make_processor_on(template, world.make_rois(), settings or with_lag(0))


def test_the_activity_of_every_cell_is_recovered(world, frames, dff):
    processor = make_processor(world)
    samples = [processor.process_frame(frame) for frame in frames]
    assert all(sample.shift.is_accepted for sample in samples)
    measured = np.array([sample.dff for sample in samples])
    r = [np.corrcoef(measured[30:, i], dff[30:, i])[0, 1] for i in range(dff.shape[1])]
    assert np.median(r) > 0.85
    activity = np.array([sample.activity for sample in samples])
    assert (activity >= 0).all()
    assert samples[3].cell.shape == samples[3].neuropil.shape == (world.n_cells,)


def test_a_rejected_frame_gives_nan_and_does_no_harm(world, frames):
    whole, broken = make_processor(world), make_processor(world)
    for k, frame in enumerate(frames):
        expected = whole.process_frame(frame)
        sample = broken.process_frame(np.zeros_like(frame) if k in (50, 51) else frame)
        if k in (50, 51):
            assert not sample.shift.is_accepted
            for values in (sample.cell, sample.neuropil, sample.dff, sample.activity):
                assert np.isnan(values).all()
        else:
            assert np.isfinite(sample.activity).all()
    np.testing.assert_array_equal(sample.cell, expected.cell)
    np.testing.assert_allclose(sample.activity, expected.activity, atol=0.1)


def test_a_marked_frame_gives_nan_by_its_cause_and_does_no_harm(world, frames):
    whole, marked = make_processor(world), make_processor(world)
    for k, frame in enumerate(frames[:60]):
        reason = RejectionReason.STIMULATION if 30 <= k < 33 else RejectionReason.NONE
        expected = whole.process_frame(frame)
        found = marked.process_frame(frame, None, reason)
        assert found.shift.rejection_reason == reason.value
        assert np.isnan(found.activity).all() == bool(reason)
    assert found.shift == expected.shift
    np.testing.assert_allclose(found.cell, expected.cell)


def test_lagged_activity_belongs_to_its_own_frame(world, frames):
    processor = make_processor(world, with_lag(3))
    broken = [frames[k] if k != 10 else np.zeros_like(frames[k]) for k in range(20)]
    samples = [processor.process_frame(frame) for frame in broken]
    silent = [k for k, s in enumerate(samples) if np.isnan(s.activity).all()]
    assert silent == [0, 1, 2, 13]
    assert np.isnan(samples[10].dff).all()


def test_returned_traces_are_not_overwritten(world, frames):
    processor = make_processor(world)
    first = processor.process_frame(frames[0])
    kept = first.cell.copy()
    processor.process_frame(frames[1])
    np.testing.assert_array_equal(first.cell, kept)


def test_a_restored_processor_continues_where_it_was(world, frames):
    processor = make_processor(world)
    for frame in frames[:100]:
        processor.process_frame(frame)
    state = processor.get_state()
    expected = [processor.process_frame(frame).activity for frame in frames[100:140]]
    fresh = make_processor(world)
    fresh.restore_state(state)
    again = [fresh.process_frame(frame).activity for frame in frames[100:140]]
    np.testing.assert_array_equal(again, expected)


def test_warming_up_compiles_everything_and_changes_nothing(world, frames):
    traces = TracesSettings(
        overlap="demix", neuropil_coefficient="fitted", indicator_rise_s=0.05
    )
    register = RegistrationSettings(nonrigid=True)
    processor = make_processor(world, Settings(traces=traces, registration=register))
    before = processor.get_state()
    processor.warm_up()
    for key, array in processor.get_state().items():
        np.testing.assert_array_equal(array, before[key], err_msg=key)
    compiled = {
        name: len(kernel.signatures)
        for name, kernel in vars(kernels).items()
        if hasattr(kernel, "signatures") and not name.startswith("_")
    }
    assert all(compiled.values()), compiled
    processor.process_frame(frames[0])
    processor.process_frame(frames[0].astype(np.uint16))
    after = {name: len(vars(kernels)[name].signatures) for name in compiled}
    assert after == compiled


def test_a_restart_continues_with_the_newest_template(world, frames):
    register = RegistrationSettings(template_drift_s=10.0)
    settings = Settings(registration=register, traces=with_lag(0).traces)
    processor = make_processor(world, settings)
    for frame in frames:
        processor.process_frame(frame)
    again = make_processor(world, settings)
    again.restore_state(processor.get_state())
    one, other = processor.process_frame(frames[0]), again.process_frame(frames[0])
    assert one.shift == other.shift
    np.testing.assert_array_equal(one.activity, other.activity)


@pytest.mark.parametrize("shape", [(64, 64), (30, 40), (16, 100)])
def test_small_fields_can_be_processed(shape):
    world = make_field(shape)
    processor = make_processor(world)
    processor.warm_up()
    sample = processor.process_frame(world.render_frame(5.0, np.random.default_rng(0)))
    assert sample.shift.is_accepted
    assert np.isfinite(sample.cell).all()


def test_no_rois_still_gives_an_image(world, frames):
    none = build_roi_set(np.arange(0), world.shape, [])
    processor = make_processor_on(
        world.render_image().astype(np.float32), none, Settings()
    )
    sample = processor.process_frame(frames[0])
    assert sample.activity.shape == (0,)
    assert processor.registered_image.any()


def test_masks_of_another_field_are_refused(world):
    with pytest.raises(ValueError, match="belong to another field"):
        make_processor_on(np.eye(64, dtype=np.float32), world.make_rois(), Settings())
