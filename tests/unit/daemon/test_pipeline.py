"""The pipeline of a session, from received frames to activity."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.config import RoiSettings
from rtrecon.core.types import Array
from rtrecon.daemon.channel_pairing import ReceivedFrame
from rtrecon.daemon.field_neurons import read_neuron_source
from rtrecon.daemon.pipeline import Pipeline
from rtrecon.daemon.session_recording import SessionRecording
from rtrecon.protocol import messages
from rtrecon.testing import synthetic_field
from rtrecon.testing.daemon_process import N_TEMPLATE, make_settings
from rtrecon.testing.simulated_microscope import SHAPE
from rtrecon.transport.publisher import Publisher

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


@pytest.fixture(scope="module")
def masks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "suite2p"
    synthetic_field.write_suite2p_masks(FIELDS, path)
    return path


@pytest.fixture
def pipeline(tmp_path: Path, masks: Path):
    """A pipeline whose recording is not started."""
    settings = make_settings(tmp_path, rois=RoiSettings(path=masks))
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        field = read_neuron_source(settings).select_for_session(START)
        recording = SessionRecording(settings)
        pipeline = Pipeline(START, field, settings, Publisher(socket), recording)
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
    while pipeline.planes.n_queued:
        pipeline.process_pending(time.monotonic())
    activity = read_activity(pipeline)
    assert len(activity) > 2 * n_volumes
    assert np.isfinite(activity).all()
