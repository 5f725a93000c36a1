"""No setting in seconds or frames means hours, or nothing, in a time-lapse."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings, Settings, TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.daemon.time_lapse import adapt_settings
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.testing.synthetic_field import make_field

RATES_HZ = (1 / 86400, 1 / 1200, 0.01, 0.1)
TWENTY_MINUTES = 1 / 1200


def test_settings_of_a_fast_session_stay_as_they_are():
    settings = Settings()
    for has_encoder in (False, True):
        assert adapt_settings(settings, 30.0, has_encoder=has_encoder) == (settings, [])


def test_the_first_frame_is_the_template_where_a_hundred_would_take_a_day():
    settings, notices = adapt_settings(Settings(), TWENTY_MINUTES, has_encoder=False)
    assert settings.registration.template_frames == 1
    assert settings.timing.encoder_rate_hz == TWENTY_MINUTES
    assert notices[0] == (
        "the reference is made from the first frame, not from 100, which would take "
        "33 h 20 min"
    )
    assert "baseline_window_s is 10 h in this session: 60 s hold too few" in notices[1]


def test_a_setting_that_holds_enough_frames_is_used_and_not_mentioned():
    wanted = Settings(
        registration=RegistrationSettings(template_frames=1, template_drift_s=1e5),
        traces=TracesSettings(baseline_window_s=1e5),
    )
    settings, notices = adapt_settings(wanted, TWENTY_MINUTES, has_encoder=False)
    assert notices == []
    assert settings.registration == wanted.registration
    assert settings.traces.baseline_window_s == 1e5


def test_a_template_that_follows_the_tissue_averages_at_least_ten_frames():
    wanted = Settings(registration=RegistrationSettings(template_drift_s=300))
    settings, notices = adapt_settings(wanted, TWENTY_MINUTES, has_encoder=False)
    assert settings.registration.template_drift_s == pytest.approx(12000.0)
    assert any("template_drift_s is 3 h 20 min" in notice for notice in notices)


def test_an_encoder_of_fast_frames_is_refused():
    with pytest.raises(UserError, match=r"leave out encoder\.checkpoint"):
        adapt_settings(Settings(), TWENTY_MINUTES, has_encoder=True)


@pytest.mark.parametrize("coefficient", [0.7, "fitted"])
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_traces_of_a_time_lapse_rise_with_the_neurons(rate_hz, coefficient):
    """Baseline, noise and deconvolution work, however rare the frames are."""
    traces = TracesSettings(neuropil_coefficient=coefficient, indicator_rise_s=0.05)
    settings, _ = adapt_settings(Settings(traces=traces), rate_hz, has_encoder=False)
    field, rng = make_field((64, 64)), np.random.default_rng(0)
    masks = make_cell_masks(field.make_rois(), settings.traces)
    rest = np.zeros(field.n_cells)
    template = field.render_frame(200, rng, (0, 0), rest).astype(np.float32)
    processor = FrameProcessor(template, masks, rate_hz, settings)
    dff = []
    for i in range(40):
        activity = np.full(field.n_cells, 1.0 if i == 30 else 0.0)
        frame = field.render_frame(200, rng, (0, 0), activity)
        dff.append(processor.process_frame(frame).dff.copy())
    values = np.array(dff)[20:]
    assert np.isfinite(values).all()
    assert values[10].mean() > 3 * np.delete(values, 10, 0).mean()
    quality = processor.trace_quality()
    assert np.isfinite(quality.noise).all()
    assert (quality.noise > 0).all()
