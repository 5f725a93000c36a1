"""Planes whose frames have another rate than the sender announced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rtrecon.config import FieldMatchSettings, Settings, TracesSettings
from rtrecon.daemon.field_neurons import FieldNeurons
from rtrecon.daemon.plane import PlaneFrame
from rtrecon.daemon.plane_set import PlaneSet
from rtrecon.protocol import messages
from rtrecon.rois.roi_set import build_unit_roi_set
from rtrecon.testing.synthetic_field import make_field

ENCODER_HZ = 30.0
SHAPE = (64, 64)
N_FRAMES = 50


@pytest.fixture(scope="module")
def field():
    return make_field(SHAPE)


@pytest.fixture
def background():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def raise_error(doing, error):
    raise error


def make_start(announced_hz, **changes):
    start = {"session": "s", "seq": 0, "source": "test", "shape": SHAPE}
    return messages.SessionStart(rate_hz=announced_hz, **(start | changes))


def make_frame(number, t_s, image):
    shape = image.shape
    message = messages.Frame(
        session="s", seq=number, t_send=0.0, frame=number, t=t_s, shape=shape
    )
    return PlaneFrame(message, image, image, 0.0)


def add_frames(planes, images, true_hz):
    """Give the set's only plane the images; return all encoder samples."""
    planes.start_session(0.0)
    samples = []
    for number, image in enumerate(images):
        for done in planes.add_frame(0, make_frame(number, number / true_hz, image)):
            samples += done.samples
    return samples


@pytest.mark.parametrize("true_hz", [15.0, 60.0, 120.0])
def test_images_are_processed_at_the_measured_rate(field, true_hz):
    settings = Settings(
        field_match=FieldMatchSettings(enabled=False),
        traces=TracesSettings(neuropil_coefficient="fitted", indicator_rise_s=0.05),
    )
    template = (90 * field.render_image()).astype(np.float32)
    neurons = FieldNeurons(field.make_rois(), (template,))
    planes = PlaneSet(make_start(ENCODER_HZ), neurons, settings, raise_error)
    rng = np.random.default_rng(0)
    images = [field.render_frame(5.0, rng) for _ in range(N_FRAMES)]
    samples = add_frames(planes, images, true_hz)
    planes.close()
    assert planes.rate_hz == pytest.approx(true_hz, rel=1e-3)
    (notice,) = planes.take_notices()
    assert "the sender announced 30 frames per second" in notice
    newest = samples[-1]
    assert newest.encoder_frame <= (N_FRAMES - 1) / true_hz * ENCODER_HZ
    assert np.isfinite(newest.values).all()
    indices = [sample.encoder_frame for sample in samples]
    assert indices == sorted(set(indices))


def count_spikes(announced_hz, true_hz, rate_unit=None):
    """Return the mean value of bins of one spike each, once the rate is measured."""
    start = make_start(announced_hz, shape=(1, 2), dtype="float32", rate_unit=rate_unit)
    rois = build_unit_roi_set(np.array([4, 7]))
    planes = PlaneSet(start, FieldNeurons(rois, (None,)), Settings(), raise_error)
    images = [np.ones((1, 2), np.float32) for _ in range(round(8 * true_hz))]
    samples = add_frames(planes, images, true_hz)
    planes.close()
    return np.mean([sample.values for sample in samples[-60:]])


@pytest.mark.parametrize("true_hz", [10.0, 30.0, 60.0])
@pytest.mark.parametrize("announced_hz", [30.0, 60.0])
def test_spikes_of_all_bins_are_counted(announced_hz, true_hz):
    spikes = count_spikes(announced_hz, true_hz)
    assert spikes == pytest.approx(true_hz / ENCODER_HZ, rel=1e-4)


def test_rates_in_other_units_are_averaged():
    assert count_spikes(60.0, 60.0, "spikes per second") == pytest.approx(1.0)
