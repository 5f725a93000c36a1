"""Spikes in place of images: from Open Ephys to the recorded activity."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rtrecon.config import EncoderSettings, InversionSettings, RoiSettings
from rtrecon.diagnostics.preflight import run_preflight
from rtrecon.encoder.card import RATE_UNITS
from rtrecon.encoder.checkpoint import save_checkpoint
from rtrecon.interfaces.open_ephys.bridge import OpenEphysBridge, OpenEphysRequest
from rtrecon.interfaces.open_ephys.units_file import read_units
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    START_TIMEOUT_S,
    BackgroundProcess,
    DaemonProcess,
    make_settings,
)
from rtrecon.testing.simulated_microscope import SimulatedMicroscope
from rtrecon.transport.senders import SessionSender
from tests.support import open_ephys_publisher as publisher
from tests.support import trained_encoder

RATE_HZ = 30.0  # of bins: one block of the publisher is one bin
LOST_BLOCK = 200  # whose message of samples never arrives
N_BINS = 150
FAST = InversionSettings(max_steps=2)


def two_free_ports() -> int:
    """The first of two neighbouring ports that nobody listens on."""
    while True:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            first = held.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            held.enter_context(socket.socket()).bind(("127.0.0.1", port + 1))
            return port


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Open Ephys, the bridge and the daemon, each a process of its own."""
    folder = tmp_path_factory.mktemp("ephys")
    port, settings = (
        two_free_ports(),
        make_settings(folder, rois=RoiSettings(unit_rates=True)),
    )
    script = Path(publisher.__file__)
    ephys = subprocess.Popen([sys.executable, script, str(port), str(LOST_BLOCK)])
    arguments = [f"tcp://127.0.0.1:{port}", "--to", settings.network.frames]
    arguments += ["--discovery-s", "1", "--units", folder / "units.txt"]
    try:
        with (
            DaemonProcess(folder, settings) as daemon,
            BackgroundProcess(folder / "bridge.log", "openephys", *arguments) as bridge,
        ):
            daemon.wait_until(lambda: past_the_loss(daemon), START_TIMEOUT_S)
            bridge.kill()
            daemon.wait_until(
                lambda: daemon.newest_health().state == "idle", START_TIMEOUT_S
            )
            assert daemon.call("stop")["ok"]
            daemon.process.wait()
            (name,) = {event.session for event in daemon.events_named("session")}
            (record,) = daemon.recordings(name)
            yield daemon, bridge, record
    finally:
        ephys.kill()
        ephys.wait()


def past_the_loss(daemon: DaemonProcess) -> bool:
    return any(
        m.frame > LOST_BLOCK + N_BINS for m in daemon.messages_of(messages.Activity)
    )


def test_the_recorded_activity_is_the_spike_count_of_each_bin(session):
    _, bridge, record = session
    frames, activity = record.frames["frame"].astype(int), record.activity
    # Every bin is one encoder frame, none is missing.
    assert frames.tolist() == list(range(frames[0], frames[0] + len(frames)))
    assert activity["encoder_frame"].tolist() == list(range(len(frames)))
    assert activity["frame"].tolist() == frames.tolist()
    assert record.frames["t_microscope_s"] == pytest.approx(frames / RATE_HZ)
    unknown = np.isnan(activity.read_values()).any(1)
    assert 1 <= unknown.sum() <= 3
    assert LOST_BLOCK in frames[unknown]
    for frame, counts in zip(
        frames[~unknown], activity.read_values()[~unknown], strict=True
    ):
        units = [unit for unit, _ in publisher.generate_spikes(frame)]
        assert counts.tolist() == [units.count(unit) for unit in range(3)], frame
    assert "messages of Open Ephys were lost" in bridge.output


def test_units_are_discovered_and_written_to_a_file(session):
    daemon, _, record = session
    expected = [f"{electrode}/{sorted_id}" for electrode, sorted_id in publisher.UNITS]
    assert record.about.meta["units"] == expected
    kept = Path(daemon.settings.recording.folder).parent / "units.txt"
    assert read_units(kept) == expected
    assert record.about.neuron_ids == [0, 1, 2]


def test_ttl_edges_are_sent_on_the_same_clock(session):
    _, _, record = session
    edges = record.sync
    assert set(edges["line"]) == {4}
    blocks = edges["t_microscope_s"] * publisher.SAMPLE_HZ / publisher.BLOCK
    assert np.round(blocks) % publisher.EDGE_INTERVAL == pytest.approx(0)
    assert set(np.diff(edges["value"])) == {-1, 1}


def test_images_are_refused_when_the_settings_announce_units(tmp_path):
    settings = make_settings(tmp_path, rois=RoiSettings(unit_rates=True))
    with (
        DaemonProcess(tmp_path, settings) as daemon,
        SimulatedMicroscope(daemon) as scope,
    ):
        scope.send_frames(1)
        daemon.wait_until(lambda: daemon.events_named("refused"))
        assert "rois.unit_rates = true" in daemon.events_named("refused")[0].message


def test_a_movie_is_reconstructed_from_spikes(tmp_path):
    """Of an encoder that was never trained: what counts is that they get there."""
    ids, encoder = list(range(40)), tmp_path / "units.safetensors"
    made = trained_encoder.make_untrained_checkpoint(encoder, ids, (1, len(ids)))
    made.card.metadata["units"] = RATE_UNITS
    save_checkpoint(made)
    settings = make_settings(
        tmp_path, encoder=EncoderSettings(checkpoint=str(encoder)), inversion=FAST
    )
    layout = {"source": "test", "rate_hz": RATE_HZ, "unit_ids": ids}
    spikes = np.random.default_rng(0).poisson(0.1, (4 * N_BINS, 1, 40))
    with (
        DaemonProcess(tmp_path, settings) as daemon,
        contextlib.closing(SessionSender(settings.network.frames, **layout)) as sender,
    ):
        daemon.wait_until(lambda: daemon.call("status")["inverting"], START_TIMEOUT_S)
        assert sender.wait_for_daemon(START_TIMEOUT_S)
        bins = iter(enumerate(spikes.astype(np.float32)))

        def a_movie_comes() -> bool:
            number, counts = next(bins)
            sender.send_frame(counts, number, number / RATE_HZ)
            time.sleep(1 / RATE_HZ)
            return bool(daemon.messages_of(messages.Movie))

        daemon.wait_until(a_movie_comes, START_TIMEOUT_S)
        (movie, *_) = daemon.messages_of(messages.Movie)
    assert movie.shape[1:] == (36, 64)
    assert 0 < max(movie.information_fraction) <= 1


def test_settings_for_spikes_pass_the_preflight_check(tmp_path):
    settings = make_settings(tmp_path, rois=RoiSettings(unit_rates=True))
    found = list(run_preflight(settings))
    assert "units: all that a session has; no encoder, so no movie" in found
    assert not any(line.startswith("daemon:") for line in found)


def test_messages_of_an_old_open_ephys_are_explained_once():
    notices = []
    port = two_free_ports()
    request = OpenEphysRequest(f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{port + 1}")
    bridge = OpenEphysBridge(request, notices.append)
    for k in range(40):
        bridge._process_message([bytes([k])])  # one part, as the Event Broadcaster
    assert len(notices) == 1
    assert "Open Ephys GUI 0.6 or later" in notices[0]
    bridge.close()
    assert notices[1:] == ["40 messages could not be read"]
