"""The whole front on a world that moves and flashes, and on real frames."""

import numpy as np
import pytest
import tifffile

from rtrecon.config import RegisterSettings, Settings, TracesSettings
from rtrecon.imaging.frame_processor import Chain
from rtrecon.imaging.registration.registrar import make_template
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.rois.roi_set import from_pixels
from rtrecon.testing.small_field import field
from tests.support.paths import TEST_DATA

DATA = TEST_DATA
RATE_HZ = 30.0
N_FRAMES = 240


@pytest.fixture(scope="module")
def world():
    return field((128, 128))


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
        [world.frame(3.0, rng, s, a) for s, a in zip(shifts, dff, strict=True)]
    )


def with_lag(lag_frames):
    return Settings(traces=TracesSettings(deconvolve_lag_frames=lag_frames))


def chain_over(template, rois, settings):
    return Chain(template, with_rings(rois, settings.traces), RATE_HZ, settings)


def chain_of(world, settings=None):
    template = (90 * world.image()).astype(np.float32)
    return chain_over(template, world.rois(), settings or with_lag(0))


def test_every_cells_activity_comes_out(world, frames, dff):
    chain = chain_of(world)
    samples = [chain.process(frame) for frame in frames]
    assert all(sample.shift.trusted for sample in samples)
    measured = np.array([sample.dff for sample in samples])
    r = [np.corrcoef(measured[30:, i], dff[30:, i])[0, 1] for i in range(dff.shape[1])]
    assert np.median(r) > 0.85
    activity = np.array([sample.activity for sample in samples])
    assert (activity >= 0).all()
    assert samples[3].cell.shape == samples[3].neuropil.shape == (world.n_cells,)


def test_an_untrusted_frame_measures_nothing_and_harms_nothing(world, frames):
    whole, broken = chain_of(world), chain_of(world)
    for k, frame in enumerate(frames):
        expected = whole.process(frame)
        sample = broken.process(np.zeros_like(frame) if k in (50, 51) else frame)
        if k in (50, 51):
            assert not sample.shift.trusted
            for values in (sample.cell, sample.neuropil, sample.dff, sample.activity):
                assert np.isnan(values).all()
        else:
            assert np.isfinite(sample.activity).all()
    np.testing.assert_array_equal(sample.cell, expected.cell)
    np.testing.assert_allclose(sample.activity, expected.activity, atol=0.1)


def test_a_late_answer_keeps_its_frame(world, frames):
    chain = chain_of(world, with_lag(3))
    broken = [frames[k] if k != 10 else np.zeros_like(frames[k]) for k in range(20)]
    samples = [chain.process(frame) for frame in broken]
    silent = [k for k, s in enumerate(samples) if np.isnan(s.activity).all()]
    assert silent == [0, 1, 2, 13]
    assert np.isnan(samples[10].dff).all()


def test_samples_are_the_readers_to_keep(world, frames):
    chain = chain_of(world)
    first = chain.process(frames[0])
    kept = first.cell.copy()
    chain.process(frames[1])
    np.testing.assert_array_equal(first.cell, kept)


def test_a_restored_chain_goes_on_where_it_was(world, frames):
    chain = chain_of(world)
    for frame in frames[:100]:
        chain.process(frame)
    state = chain.state()
    expected = [chain.process(frame).activity for frame in frames[100:140]]
    fresh = chain_of(world)
    fresh.restore(state)
    again = [fresh.process(frame).activity for frame in frames[100:140]]
    np.testing.assert_array_equal(again, expected)


def test_warming_up_compiles_everything_and_changes_nothing(world, frames):
    traces = TracesSettings(overlap="demix", neuropil_coefficient="fitted", rise_s=0.05)
    register = RegisterSettings(nonrigid=True)
    chain = chain_of(world, Settings(traces=traces, register_=register))
    before = chain.state()
    chain.warm_up()
    for key, array in chain.state().items():
        np.testing.assert_array_equal(array, before[key], err_msg=key)
    compiled = {
        name: len(kernel.signatures)
        for name, kernel in vars(kernels).items()
        if hasattr(kernel, "signatures") and not name.startswith("_")
    }
    assert all(compiled.values()), compiled
    chain.process(frames[0])
    chain.process(frames[0].astype(np.uint16))
    after = {name: len(vars(kernels)[name].signatures) for name in compiled}
    assert after == compiled


def test_a_restart_goes_on_with_the_template_that_followed(world, frames):
    register = RegisterSettings(template_drift_s=10.0)
    settings = Settings(register_=register, traces=with_lag(0).traces)
    chain = chain_of(world, settings)
    for frame in frames:
        chain.process(frame)
    again = chain_of(world, settings)
    again.restore(chain.state())
    one, other = chain.process(frames[0]), again.process(frames[0])
    assert one.shift == other.shift
    np.testing.assert_array_equal(one.activity, other.activity)


@pytest.mark.parametrize("shape", [(64, 64), (30, 40), (16, 100)])
def test_small_fields_work(shape):
    world = field(shape)
    chain = chain_of(world)
    chain.warm_up()
    sample = chain.process(world.frame(5.0, np.random.default_rng(0)))
    assert sample.shift.trusted
    assert np.isfinite(sample.cell).all()


def test_no_rois_still_gives_an_image(world, frames):
    none = from_pixels(np.arange(0), world.shape, [])
    chain = chain_over(world.image().astype(np.float32), none, Settings())
    sample = chain.process(frames[0])
    assert sample.activity.shape == (0,)
    assert chain.registered.any()


def test_masks_of_another_field_are_refused(world):
    with pytest.raises(ValueError, match="belong to another field"):
        chain_over(np.eye(64, dtype=np.float32), world.rois(), Settings())


def test_real_frames_with_negative_pixels():
    path = DATA / "scanimage" / "replay_real_pixels_synthetic_SI_header.tif"
    if not path.exists():
        pytest.skip(f"no real recording at {path}")
    with tifffile.TiffFile(path) as file:
        frames = np.array([page.asarray() for page in file.pages[:60]])
    frames = frames - np.int16(200)  # as a microscope that takes the offset off
    assert frames.min() < 0
    rng = np.random.default_rng(0)
    grid = np.mgrid[-6:7, -6:7].reshape(2, -1)
    discs = [
        (grid[0] + row, grid[1] + col, np.ones(grid.shape[1]))
        for row, col in rng.integers(8, 504, (200, 2))
    ]
    rois = from_pixels(np.arange(200), (512, 512), discs)
    chain = chain_over(make_template(frames), rois, with_lag(0))
    samples = [chain.process(frame) for frame in frames]
    assert all(sample.shift.trusted for sample in samples)
    moved = np.array([(s.shift.y_px, s.shift.x_px) for s in samples])
    assert np.abs(moved).max() < 3
    assert np.isfinite([s.activity for s in samples]).all()
