"""The detector offset that is used, for raw frames with usual and unusual offsets."""

import numpy as np
import pytest

from rtrecon.config import TracesSettings
from rtrecon.imaging.traces.baseline import DffCalculator
from rtrecon.imaging.traces.detector_offset import measure_brightness
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.imaging.traces.offset_choice import (
    choose_detector_offset,
    describe_neurons_at_offset,
)
from rtrecon.rois.roi_set import build_roi_set

SIDE, N_FRAMES, CELL_COUNTS = 64, 45, 40.0
CORNERS = [(8 + 14 * i, 8 + 14 * j) for i in range(4) for j in range(4)]


def make_rois():
    rows, cols = (part.ravel() for part in np.mgrid[:6, :6])
    cells = [(y + rows, x + cols, np.ones(36, np.float32)) for y, x in CORNERS]
    return build_roi_set(np.arange(len(cells)), (SIDE, SIDE), cells)


def make_frames(offset_counts, dtype=np.int16, dff=0.0):
    """Dark tissue with cells of 40 counts; its noise says nothing about photons."""
    rng = np.random.default_rng(9)
    image = np.zeros((SIDE, SIDE))
    for y, x in CORNERS:
        image[y : y + 6, x : x + 6] = CELL_COUNTS * (1 + dff)
    noise = rng.normal(0, 6.0, (N_FRAMES, SIDE, SIDE))
    return np.rint(offset_counts + image + noise).astype(dtype)


def choose(frames, setting):
    return choose_detector_offset(
        frames, TracesSettings(detector_offset_counts=setting)
    )


OFFSETS = [(0.0, np.int16), (-60.0, np.int16), (-1000.0, np.int16)]
BRIGHT_OFFSETS = [(100.0, np.int16), (40000.0, np.uint16)]


@pytest.mark.parametrize(("offset", "dtype"), OFFSETS + BRIGHT_OFFSETS)
def test_dff_of_one_is_read_as_one_at_any_offset(offset, dtype):
    chosen = choose(make_frames(offset, dtype), "auto")
    assert chosen.counts == pytest.approx(offset, abs=1.0)
    settings = TracesSettings(neuropil_coefficient=0.0)
    masks = make_cell_masks(make_rois(), settings)
    extractor = TraceExtractor(masks.cells, masks.neuropil)
    calculator = DffCalculator(len(CORNERS), 30.0, settings, chosen.counts)
    for dff in (0.0, 1.0):
        for frame in make_frames(offset, dtype, dff)[:20]:
            cell, neuropil, out = np.empty((3, len(CORNERS)), np.float32)
            extractor.extract_traces(frame.astype(np.float32), cell, neuropil)
            calculator.compute_dff(cell, neuropil, out)
    # The baseline is the minimum of a noisy trace, and follows the event a little.
    assert np.median(out) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(("offset", "dtype"), OFFSETS[1:])
def test_an_offset_above_the_darkest_pixels_is_replaced_by_them(offset, dtype):
    chosen = choose(make_frames(offset, dtype), 0.0)
    assert chosen.counts == pytest.approx(offset, abs=1.0)
    (notice,) = chosen.notices
    assert f"which read {offset:.0f} counts" in notice


@pytest.mark.parametrize("setting", [0.0, -0.5, 1.0])
def test_a_plausible_offset_of_the_settings_stays_as_it_is(setting):
    chosen = choose(make_frames(0.0), setting)
    assert (chosen.counts, chosen.notices) == (setting, ())


@pytest.mark.parametrize(("offset", "dtype"), BRIGHT_OFFSETS)
def test_an_offset_that_the_settings_leave_out_is_reported(offset, dtype):
    chosen = choose(make_frames(offset, dtype), 0.0)
    assert chosen.counts == 0.0
    (notice,) = chosen.notices
    assert f"the darkest pixels read {offset:.0f} counts" in notice


@pytest.mark.parametrize("n_frames", [1, 2, 5])
def test_few_frames_are_enough_for_the_brightness(n_frames):
    brightness = measure_brightness(make_frames(-60.0)[:n_frames])
    assert brightness.darkest == pytest.approx(-60.0, abs=15.0)  # one frame: sorted
    assert brightness.contrast == pytest.approx(CELL_COUNTS, abs=30.0)  # by its noise


def test_neurons_at_the_offset_are_counted_once():
    image = make_frames(-60.0).mean(0).astype(np.float32)
    y, x = CORNERS[3]
    image[y : y + 6, x : x + 6] = -60.0
    masks = make_cell_masks(make_rois(), TracesSettings())
    sentence = describe_neurons_at_offset(image, masks, -60.0)
    assert sentence is not None
    assert sentence.startswith("1 of 16 neurons rest at or below the detector offset")
    assert describe_neurons_at_offset(image, masks, -80.0) is None


@pytest.mark.parametrize(("offset", "dtype"), OFFSETS[1:] + BRIGHT_OFFSETS)
@pytest.mark.parametrize("setting", [0.0, "auto"])
def test_an_offset_that_the_frames_do_not_prove_is_doubtful(offset, dtype, setting):
    """These frames have no photon noise, so the darkest pixels are a guess."""
    assert choose(make_frames(offset, dtype), setting).is_doubtful


@pytest.mark.parametrize("setting", [0.0, "auto"])
def test_a_plausible_offset_is_not_doubtful(setting):
    assert not choose(make_frames(0.0), setting).is_doubtful
