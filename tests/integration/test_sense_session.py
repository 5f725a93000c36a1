"""A recorded session of sound: report, NWB file and arrays have its axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO, TimeSeries, validate

from rtrecon.analysis.report import write_report
from rtrecon.export.nwb_export import ExportRequest, export_nwb
from rtrecon.protocol import messages
from rtrecon.session.api import open_session
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import ActivityRow
from rtrecon.simulate.senses import find_sense
from rtrecon.stimulus_space.sound import SOUND
from tests.support.recorded_session import make_about
from tests.support.session_tables import make_frame_row, make_traces

N_FRAMES, WINDOW, HOP = 800, 100, 10


@pytest.fixture(scope="module")
def levels() -> np.ndarray:
    return find_sense("sound").make_stimulus(N_FRAMES, 1)


@pytest.fixture(scope="module")
def path(tmp_path_factory, levels) -> Path:
    ids = [3, 5, 8]
    about = make_about(
        neuron_ids=ids,
        roi_ids=ids,
        rate_unit="spikes per bin",
        rate_hz=SOUND.rate_hz,
        encoder_rate_hz=SOUND.rate_hz,
        hop_frames=HOP,
        window_frames=WINDOW,
        stimulus_space=SOUND,
    )
    recorder = Recorder(tmp_path_factory.mktemp("recordings"), about)
    for i in range(N_FRAMES):
        recorder.add_frame(make_frame_row(i), make_traces(i, 3))
        recorder.add_activity(ActivityRow(i, i), np.ones(3, np.float32))
        recorder.add_stimulus(i, levels[i], "birds")
        if i >= WINDOW and (i + 1) % HOP == 0:
            movie = messages.Movie(
                session=about.session,
                seq=i,
                t=100.0,
                encoder_frame=i,
                n_final=HOP,
                lag_s=0.9,
                shape=(WINDOW, *SOUND.shape),
                n_steps=1,
                t_frame=99.0,
            )
            recorder.add_movie(movie, levels[i + 1 - WINDOW : i + 1] // 2)
    recorder.close()
    assert recorder.failure is None
    return recorder.path


def test_the_recording_names_its_space(path):
    assert Session(path).about.stimulus_space == SOUND


def test_arrays_have_the_axes_of_the_sound(path, levels):
    stimulus = open_session(path).stimulus
    assert stimulus.dimensions == ("time", "frequency", "channel")
    np.testing.assert_array_equal(stimulus.to_numpy(), levels)
    frequency = stimulus.coordinates["frequency"]
    np.testing.assert_allclose(frequency.values, SOUND.axes[0].positions)
    assert frequency.unit == "Hz"


def test_the_nwb_file_has_series_in_db_with_their_axes(path, tmp_path, levels):
    file = tmp_path / "s.nwb"
    export_nwb(ExportRequest(path, file))
    assert not validate(path=str(file))
    with NWBHDF5IO(str(file), "r") as io:
        nwb = io.read()
        series, table = nwb.stimulus["stimulus"], nwb.stimulus["stimulus_axes"]
        assert isinstance(series, TimeSeries)
        decibel = series.data[:] * series.conversion + series.offset
        np.testing.assert_allclose(decibel, SOUND.from_levels(levels), atol=0.01)
        assert series.unit == "dB"
        assert list(table["axis"][:]) == ["frequency"] * 24 + ["channel"]
        assert table["label"][-1] == "mono"
        movie = nwb.processing["reconstruction"]["reconstructed_movie"]
        assert movie.data.shape[1:] == SOUND.shape


def test_the_report_draws_the_course_of_the_sound(path, tmp_path):
    page = tmp_path / "report.html"
    write_report(path, page)
    html = page.read_text(encoding="utf-8")
    assert "rows are frequency" in html
    assert "<video" not in html
