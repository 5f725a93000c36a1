"""The pipeline of a session, from received frames to activity."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.config import LightSettings, RoiSettings
from rtrecon.core.types import Array
from rtrecon.daemon import image_plane
from rtrecon.daemon.channel_pairing import ReceivedFrame
from rtrecon.daemon.error_reporter import ErrorReporter
from rtrecon.daemon.event_publisher import EventPublisher
from rtrecon.daemon.field_neurons import read_neuron_source
from rtrecon.daemon.image_plane import ImagePlane
from rtrecon.daemon.pipeline import Pipeline
from rtrecon.daemon.pipeline_output import PipelineOutput
from rtrecon.daemon.session_recording import SessionRecording
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import Registrar
from rtrecon.imaging.timing.aligner import Aligner
from rtrecon.imaging.timing.clock_fit import ClockRegistry
from rtrecon.imaging.timing.marked_light import MarkedLight
from rtrecon.imaging.timing.volume import Volume
from rtrecon.imaging.traces.baseline import DffCalculator
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.protocol import messages
from rtrecon.testing import synthetic_field
from rtrecon.testing.daemon_process import N_TEMPLATE, make_settings
from rtrecon.transport.publisher import Publisher

SHAPE = (64, 64)
FIELDS = [synthetic_field.make_field(SHAPE, seed) for seed in (0, 5)]
START = messages.SessionStart(
    session="s",
    seq=0,
    source="test",
    rate_hz=10.0,  # volumes; one volume is three encoder frames
    shape=SHAPE,
    dtype="int16",
    channels=[1],
    planes=[0.0, 40.0],
)
NO_UNITS = np.empty(0, np.int64)


@pytest.fixture(scope="module")
def masks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "suite2p"
    synthetic_field.write_suite2p_masks(FIELDS, path)
    return path


@pytest.fixture
def sentences() -> list[str]:
    """What the daemon logs."""
    return []


@pytest.fixture
def pipeline(tmp_path: Path, masks: Path, sentences: list[str]):
    """A pipeline whose recording is not started."""
    settings = make_settings(tmp_path, rois=RoiSettings(path=masks))
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        field = read_neuron_source(settings).select_for_session(START, NO_UNITS)
        recording = SessionRecording(settings)
        publisher = Publisher(socket)
        events = EventPublisher(publisher, recording, sentences.append)
        errors = ErrorReporter(events, tmp_path / "errors.log")
        pipeline = Pipeline(START, field, settings, publisher, recording, errors)
        yield pipeline
        pipeline.close()


def make_volume(number: int) -> list[ReceivedFrame]:
    rng, now_s = np.random.default_rng(number), time.time()
    return [
        ReceivedFrame(
            messages.Frame(
                session=START.session,
                seq=len(FIELDS) * number + plane,
                t_send=now_s,
                frame=number + 1,
                t=number / START.rate_hz,
                shape=SHAPE,
                dtype=START.dtype,
                channel=1,
                plane=plane,
            ),
            field.render_frame(5.0, rng),
            now_s,
        )
        for plane, field in enumerate(FIELDS)
    ]


def process_until(pipeline: Pipeline, condition: Callable[[], object]) -> None:
    """Process queued frames until the condition holds, and leave time to others."""
    while not condition():
        pipeline.process_pending(time.monotonic())
        time.sleep(0.001)


def read_activity(pipeline: Pipeline) -> Array:
    """Return the activity (T, n) that was sent."""
    sent = [messages.decode_published(parts) for parts in pipeline.output.history]
    return np.stack([values for _, values in sent])


@pytest.mark.parametrize("n_volumes", range(N_TEMPLATE, N_TEMPLATE + 4))
def test_planes_wait_for_each_other_until_all_queued_frames_are_processed(
    pipeline, n_volumes
):
    for number in range(n_volumes):
        for received in make_volume(number):
            pipeline.add_frame(received)
    process_until(pipeline, lambda: not pipeline.planes.n_queued)
    activity = read_activity(pipeline)
    assert len(activity) > 2 * n_volumes
    assert np.isfinite(activity).all()


@pytest.fixture
def running(pipeline, sentences):
    """A pipeline whose planes have references."""
    for number in range(N_TEMPLATE):
        send_volume(pipeline, number)
    planes = pipeline.planes
    process_until(pipeline, lambda: not (planes.is_calibrating or planes.n_queued))
    assert not errors_in(sentences)
    return pipeline


def send_volume(pipeline: Pipeline, number: int) -> None:
    for received in make_volume(number):
        pipeline.add_frame(received)


def errors_in(sentences: list[str]) -> list[str]:
    return [sentence for sentence in sentences if "the daemon goes on" in sentence]


STEPS = {
    "registration": (Registrar, "estimate_shift"),
    "extraction": (TraceExtractor, "extract_traces"),
    "dF/F": (DffCalculator, "compute_dff"),
    "resampling": (Aligner, "add_activity"),
    "volume": (Volume, "add_plane_samples"),
    "recording": (PipelineOutput, "record_frame"),
    "view": (ImagePlane, "make_view"),
    "clocks": (ClockRegistry, "add_frame"),
}


@pytest.mark.parametrize("step", STEPS)
def test_an_exception_in_any_step_costs_no_frame(
    running, sentences, monkeypatch, step, tmp_path
):
    n_before = running.output.n_processed

    def fail(*_args, **_kwargs):
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(*STEPS[step], fail)
        running.output._view_due_s.clear()
        for number in range(N_TEMPLATE, N_TEMPLATE + 3):
            send_volume(running, number)
    assert running.output.n_processed == n_before + 3 * len(FIELDS)
    (sentence,) = errors_in(sentences)
    assert "failed: ZeroDivisionError: a bug" in sentence
    log = (tmp_path / "errors.log").read_text()
    assert log.count("Traceback") == 1
    assert f"{STEPS[step][1]}" in log or "fail" in log
    # Later frames are processed as if nothing had happened.
    send_volume(running, N_TEMPLATE + 3)
    assert len(errors_in(sentences)) == 1
    assert running.output.n_processed == n_before + 4 * len(FIELDS)


def test_a_frame_whose_processing_fails_is_recorded_as_rejected(running, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Registrar, "estimate_shift", lambda *_: 1 / 0)
        send_volume(running, N_TEMPLATE)
    assert running.output.n_rejected == {RejectionReason.FAILED: len(FIELDS)}
    for number in range(N_TEMPLATE + 1, N_TEMPLATE + 8):
        send_volume(running, number)
    # Only encoder frames near the lost volume are NaN; later ones keep their place.
    activity = read_activity(running)
    assert np.isnan(activity).any()
    assert np.isfinite(activity[-3:]).all()


def test_a_reference_that_cannot_be_made_is_tried_again(
    pipeline, sentences, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(image_plane, "build_reference", lambda *_: 1 / 0)
        for number in range(N_TEMPLATE):
            send_volume(pipeline, number)
        process_until(pipeline, lambda: pipeline.planes.n_unusable)
    assert "making the reference failed: ZeroDivisionError" in errors_in(sentences)[0]
    for number in range(N_TEMPLATE, 4 * N_TEMPLATE):
        send_volume(pipeline, number)
    process_until(pipeline, lambda: not pipeline.planes.is_calibrating)


def test_frames_that_a_light_line_marks_are_rejected_by_their_cause(running):
    running.auxiliary.light = MarkedLight(LightSettings(stimulation_line=4))
    first, n_before = N_TEMPLATE + 1, running.output.n_processed
    t_s = first / START.rate_hz
    for value, edge_s in ((1, t_s + 0.01), (0, t_s + 0.02)):
        edge = messages.SyncEdge(
            session="s", seq=0, t_send=edge_s, line=4, value=value, t=edge_s
        )
        running.auxiliary.add_sync_edge(edge, time.time())
    for number in range(N_TEMPLATE, N_TEMPLATE + 4):
        send_volume(running, number)
    process_until(running, lambda: running.output.n_processed == n_before + 8)
    assert running.output.n_rejected == {"stimulation light": len(FIELDS)}
