"""How many frames fit into memory, for every size and number of planes."""

from __future__ import annotations

import math

import pytest

from rtrecon.config import RegistrationSettings, Settings
from rtrecon.daemon.pipeline_output import choose_view_step
from rtrecon.daemon.queue_limits import (
    MAX_PLANE_BYTES,
    MAX_SESSION_BYTES,
    MIN_QUEUED_FRAMES,
    QueueLimits,
)
from rtrecon.protocol import messages
from rtrecon.session import message_log, recorder
from rtrecon.session.about import About
from rtrecon.session.tables import make_table_specs
from rtrecon.transport import sockets

SIDES_PX = (16, 128, 512, 724, 1024, 1200, 2048, 4096)
PLANES = (1, 2, 8, 30)
RATES_HZ = (0.5, 30.0, 1000.0)
GIB = 2**30


def make_start(side_px: int, n_planes: int, rate_hz: float = 30.0):
    return messages.SessionStart(
        session="s",
        seq=0,
        source="test",
        rate_hz=rate_hz,
        shape=(side_px, side_px),
        planes=[0.0] * n_planes,
    )


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("n_images", [1, 2])
@pytest.mark.parametrize("n_planes", PLANES)
@pytest.mark.parametrize("side_px", SIDES_PX)
def test_the_frames_of_a_reference_fit_into_the_queue_at_every_size(
    side_px, n_planes, n_images, rate_hz
):
    start = make_start(side_px, n_planes, rate_hz)
    limits = QueueLimits.for_session(start, n_images, Settings())
    assert 1 < limits.n_reference < limits.max_queued
    assert limits.n_reference <= limits.n_wanted


@pytest.mark.parametrize("n_images", [1, 2])
@pytest.mark.parametrize("n_planes", PLANES)
@pytest.mark.parametrize("side_px", SIDES_PX)
def test_queued_frames_stay_within_the_memory_that_is_set_aside(
    side_px, n_planes, n_images
):
    start = make_start(side_px, n_planes)
    limits = QueueLimits.for_session(start, n_images, Settings())
    frame_bytes = 2 * n_images * side_px**2
    if limits.max_queued > MIN_QUEUED_FRAMES:
        assert limits.max_queued * frame_bytes <= MAX_PLANE_BYTES
        assert limits.max_queued * frame_bytes * n_planes <= MAX_SESSION_BYTES


def test_ordinary_frames_make_the_reference_that_the_settings_ask_for():
    for n_planes in (1, 8, 16):
        start = make_start(512, n_planes)
        limits = QueueLimits.for_session(start, 1, Settings())
        assert limits.n_reference == limits.n_wanted == 100
        assert limits.describe_shortage(start) is None


@pytest.mark.parametrize(("side_px", "n_reference"), [(1200, 69), (2048, 24)])
def test_large_frames_make_a_reference_of_as_many_as_fit_and_this_is_said(
    side_px, n_reference
):
    start = make_start(side_px, 1)
    limits = QueueLimits.for_session(start, 1, Settings())
    assert limits.n_reference == n_reference
    assert limits.describe_shortage(start) == (
        f"the reference is made from {n_reference} frames, not from 100: no more of "
        f"{side_px} x {side_px} fit into the memory for queued frames"
    )


def test_a_larger_number_in_the_settings_is_used_where_it_fits():
    settings = Settings(registration=RegistrationSettings(template_frames=300))
    limits = QueueLimits.for_session(make_start(512, 1), 1, settings)
    assert limits.n_reference == 300


@pytest.mark.parametrize("side_px", SIDES_PX)
def test_a_subscriber_that_stands_still_costs_bounded_memory(side_px):
    view_bytes = math.ceil(side_px / choose_view_step(side_px)) ** 2
    assert sockets.PUBLISH_QUEUE * view_bytes <= GIB / 2


def test_the_largest_message_fits_into_the_log_of_raw_messages():
    n_bytes = messages.MAX_PAYLOAD_BYTES + messages.MAX_HEADER_BYTES
    assert n_bytes <= message_log.MAX_QUEUED_BYTES


@pytest.mark.parametrize("side_px", SIDES_PX)
def test_one_frame_of_every_size_can_be_sent(side_px):
    assert 2 * side_px**2 <= messages.MAX_PAYLOAD_BYTES


@pytest.mark.parametrize("n_neurons", [0, 100, 1000, 10_000])
@pytest.mark.parametrize("n_planes", PLANES)
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_rows_of_a_blocked_disk_are_queued_for_ten_seconds_or_up_to_a_limit(
    rate_hz, n_planes, n_neurons
):
    ids = list(range(n_neurons * n_planes))
    about = About(
        session="s",
        roi_ids=ids,
        neuron_ids=ids,
        roi_planes=[k % n_planes for k in ids],
        rate_hz=rate_hz,
    )
    specs = make_table_specs(about)
    length = recorder.MAX_QUEUED_ITEMS * recorder.find_queue_scale(specs)
    rows_hz = sum(spec.rate_hz for spec in specs.values())
    bytes_hz = sum(
        spec.rate_hz * spec.values.row_bytes for spec in specs.values() if spec.values
    )
    seconds = length / rows_hz
    n_bytes = seconds * bytes_hz
    assert seconds >= 10.0 or n_bytes >= 0.99 * recorder.MAX_QUEUED_BYTES
    if length > recorder.MAX_QUEUED_ITEMS:
        assert n_bytes <= recorder.MAX_QUEUED_BYTES
