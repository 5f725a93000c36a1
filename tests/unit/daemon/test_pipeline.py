"""A session's frames to its activity, without a wire before it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.config import RoiSettings
from rtrecon.core.types import Array
from rtrecon.daemon.field_neurons import read_neurons
from rtrecon.daemon.pipeline import Arrived, Pipeline
from rtrecon.protocol import messages
from rtrecon.testing import small_field
from rtrecon.testing.daemon_process import N_TEMPLATE, SHAPE, settings_in
from rtrecon.transport.publisher import Publisher

FIELDS = [small_field.field(SHAPE, seed) for seed in (0, 5)]
START = messages.Start(
    session="s",
    seq=0,
    source="test",
    rate_hz=10.0,  # of volumes: three frames of the encoder's
    shape=SHAPE,
    dtype="int16",
    channels=[1],
    planes=[0.0, 40.0],
)


@pytest.fixture
def pipeline(tmp_path: Path):
    masks = tmp_path / "suite2p"
    small_field.save_as_suite2p(FIELDS, masks)
    settings = settings_in(tmp_path, rois=RoiSettings(path=str(masks)))
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        field = read_neurons(settings).of(START)
        made = Pipeline(START, field, settings, Publisher(socket))
        yield made
        made.close()


def volume(number: int) -> list[Arrived]:
    rng, now_s = np.random.default_rng(number), time.time()
    return [
        Arrived(
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
            field.frame(5.0, rng),
            now_s,
        )
        for plane, field in enumerate(FIELDS)
    ]


def told(pipeline: Pipeline) -> Array:
    """Activity (T, n) that was sent."""
    parts = [messages.decode_published(parts) for parts in pipeline.history]
    return np.stack([values for _, values in parts])


@pytest.mark.parametrize("n_volumes", range(N_TEMPLATE, N_TEMPLATE + 4))
def test_planes_that_catch_up_wait_for_each_other_to_the_last(pipeline, n_volumes):
    for number in range(n_volumes):
        for arrived in volume(number):
            pipeline.frame(arrived)
    while pipeline.waiting:
        pipeline.go_on(time.monotonic())
    activity = told(pipeline)
    assert len(activity) > 2 * n_volumes
    assert np.isfinite(activity).all()
