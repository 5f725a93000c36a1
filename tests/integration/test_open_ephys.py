"""Spikes in place of images: from Open Ephys' wire to the recorded activity."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rtrecon.config import EncoderSettings, InvertSettings, RoiSettings
from rtrecon.core.errors import UserError
from rtrecon.daemon.field_neurons import Neurons
from rtrecon.diagnostics.preflight import check
from rtrecon.encoder.card import LIVE_UNITS, RATE_UNITS
from rtrecon.encoder.checkpoint import save
from rtrecon.interfaces.open_ephys.bridge import read_units
from rtrecon.interfaces.open_ephys.messages import (
    Edge,
    NotOpenEphys,
    Passed,
    Spike,
    read,
)
from rtrecon.interfaces.open_ephys.spike_bins import PATIENCE_S, Bins
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import SLOW_S, Daemon, Program, Scope, settings_in
from rtrecon.transport.sender import Sender
from tests.support import open_ephys_publisher as publisher
from tests.support import trained_encoder

RATE_HZ = 30.0  # of bins: one block of the publisher is one bin
LOST_BLOCK = 200  # whose message of samples never arrives
N_BINS = 150
FAST = InvertSettings(max_steps=2)


def message(kind: bytes, header: dict, data: bytes = b"") -> list[bytes]:
    return [kind, json.dumps({"message_num": 7} | header).encode(), data]


# header and bytes -> what they say
SAID = {
    "samples": (
        {
            "type": "data",
            "content": {
                "stream": "a",
                "sample_num": 90,
                "num_samples": 10,
                "sample_rate": 30000,
            },
        },
        b"\0" * 40,
        Passed(100, 30000.0),
    ),
    "a spike": (
        {
            "type": "spike",
            "spike": {
                "stream": "a",
                "electrode": "E 1",
                "sample_num": 95,
                "sorted_id": 2,
            },
        },
        b"\0" * 160,
        Spike("E 1/2", 95),
    ),
    "an edge": (
        {"type": "event", "content": {"stream": "a", "type": 3, "sample_num": 96}},
        struct.pack("<BBQ", 5, 1, 32),
        Edge(5, 1, 96),
    ),
    "another event": (
        {"type": "event", "content": {"stream": "a", "type": 5, "sample_num": 96}},
        b"text",
        None,
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_open_ephys_says_is_understood(case):
    header, data, said = SAID[case]
    heard = read(message(b"DATA\0", header, data))
    assert (heard.number, heard.stream, heard.said) == (7, "a", said)


@pytest.mark.parametrize(
    "parts",
    [[], [b"DATA\0"], [b"DATA\0", b"{"], [b"DATA\0", b'{"type": "data"}'], [b"", b"7"]],
)
def test_what_is_not_its_format_is_refused(parts):
    with pytest.raises(NotOpenEphys):
        read(parts)


# -- bins --------------------------------------------------------------------------


def bins_of(spikes: list[tuple[str, int]]) -> Bins:
    """Bins of 1000 samples, from the first whole one after sample 500."""
    bins = Bins(["a", "b"], RATE_HZ, 30_000, 500)
    for unit, sample in spikes:
        bins.spike(unit, sample)
    return bins


PATIENCE = round(PATIENCE_S * 30_000)  # samples


def test_spikes_are_counted_in_the_bin_that_they_lie_in():
    bins = bins_of([("a", 1000), ("a", 1999), ("b", 2000), ("a", 3000)])
    first, second = bins.close(3000 + PATIENCE)
    assert (first.number, first.t_s, first.counts.tolist()) == (1, 1 / 30, [2, 0])
    assert (second.number, second.counts.tolist()) == (2, [0, 1])
    assert bins.close(3999 + PATIENCE) == []
    (third,) = bins.close(4000 + PATIENCE)
    assert third.counts.tolist() == [1, 0]


def test_a_bin_waits_for_spikes_that_are_told_late_but_not_for_ever():
    bins = bins_of([("a", 1500)])
    assert bins.close(2000) == []
    bins.spike("a", 1600)
    (first,) = bins.close(2000 + PATIENCE)
    bins.spike("a", 1700)
    assert first.counts.tolist() == [2, 0]
    assert bins.late == 1


def test_spikes_of_nobody_are_counted_apart():
    assert bins_of([("c", 1500)]).strangers == 1


def test_where_messages_were_lost_nothing_is_known():
    bins = bins_of([("a", 2500)])
    bins.lose(1500, 2500)
    lost, also, known = bins.close(4000 + PATIENCE)
    assert np.isnan([lost.counts, also.counts]).all()
    assert known.counts.tolist() == [0, 0]


def test_units_are_read_from_a_file(tmp_path: Path):
    file = tmp_path / "units.txt"
    assert read_units(None) is read_units(file) is None
    file.write_text("Electrode 1/2\n\n Electrode 1/3 \n", encoding="utf-8")
    assert read_units(file) == ["Electrode 1/2", "Electrode 1/3"]
    file.write_text("a\na\n", encoding="utf-8")
    with pytest.raises(UserError, match="2 units, 1 of them different"):
        read_units(file)


# -- whose units ---------------------------------------------------------------------


def start(ids: list[int], **fields: object) -> messages.Start:
    known = {"shape": (1, len(ids)), "dtype": "float32", "units": ids}
    given = {"session": "s", "seq": 0, "source": "test", "rate_hz": RATE_HZ}
    return messages.Start(**(given | known | fields))


def test_units_keep_their_ids_and_order():
    field = Neurons(None, None, RoiSettings(units=True)).of(start([7, 3, 5]))
    assert field.rois.ids.tolist() == [7, 3, 5]
    assert field.places(0).tolist() == [0, 1, 2]


def test_an_encoder_wants_its_own_neurons():
    card = trained_encoder.untrained(Path("none"), [4, 2], (20, 30)).card
    card.meta["units"] = RATE_UNITS
    neurons = Neurons(card, None, RoiSettings())
    assert neurons.of(start([4, 2])).rois.ids.tolist() == [4, 2]
    for other in ([2, 4], [4], [4, 2, 9]):
        with pytest.raises(UserError, match="in the encoder's order"):
            neurons.of(start(other))


# what an encoder was trained on -> what a session of that says
SESSIONS = {
    LIVE_UNITS: {"units": None, "shape": (20, 30), "dtype": "int16"},
    RATE_UNITS: {},
    "photons per bin": {"rates_in": "photons per bin"},
}


@pytest.mark.parametrize("trained_on", SESSIONS)
def test_an_encoder_wants_what_it_was_trained_on(trained_on):
    card = trained_encoder.untrained(Path("none"), [4, 2], (20, 30)).card
    card.meta["units"] = trained_on
    neurons = Neurons(card, None, RoiSettings())
    for told, fields in SESSIONS.items():
        if told == trained_on:
            assert neurons.of(start([4, 2], **fields)).rois.ids.tolist() == [4, 2]
        else:
            words = (
                f"was trained on {trained_on}, but (rates come in|images give) {told}"
            )
            with pytest.raises(UserError, match=words):
                neurons.of(start([4, 2], **fields))


REFUSED = [
    {"units": None},  # rates of nobody
    {"shape": (2, 1)},
    {"dtype": "int16"},
    {"units": [1, 1]},
]


@pytest.mark.parametrize("fields", REFUSED)
def test_a_start_says_either_images_or_rates(fields):
    assert messages.decode(messages.encode(start([1, 2])))[0].units == [1, 2]
    with pytest.raises(messages.WireError, match="distinct 'units'"):
        messages.decode(messages.encode(start([1, 2], **fields)))


# -- end to end ----------------------------------------------------------------------


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
    port, settings = two_free_ports(), settings_in(folder, rois=RoiSettings(units=True))
    script = Path(publisher.__file__)
    ephys = subprocess.Popen([sys.executable, script, str(port), str(LOST_BLOCK)])
    arguments = [f"tcp://127.0.0.1:{port}", "--to", settings.wire.frames]
    arguments += ["--learn-s", "1", "--units", folder / "units.txt"]
    try:
        with (
            Daemon(folder, settings) as daemon,
            Program(folder / "bridge.log", "openephys", *arguments) as bridge,
        ):
            daemon.until(lambda: past_the_loss(daemon), SLOW_S)
            bridge.kill()
            daemon.until(lambda: daemon.health().state == "idle", SLOW_S)
            assert daemon.ask("stop")["ok"]
            daemon.process.wait()
            (name,) = {event.session for event in daemon.events("session")}
            (record,) = daemon.records(name)
            yield daemon, bridge, record
    finally:
        ephys.kill()
        ephys.wait()


def past_the_loss(daemon: Daemon) -> bool:
    return any(m.frame > LOST_BLOCK + N_BINS for m in daemon.all(messages.Activity))


def test_the_recorded_activity_is_the_spikes_of_each_bin(session):
    _, bridge, record = session
    frames, activity = record.frames["frame"].astype(int), record.activity
    # Every bin is one encoder frame, none is missing.
    assert frames.tolist() == list(range(frames[0], frames[0] + len(frames)))
    assert activity["index"].tolist() == list(range(len(frames)))
    assert activity["frame"].tolist() == frames.tolist()
    assert record.frames["t"] == pytest.approx(frames / RATE_HZ)
    unknown = np.isnan(activity.values()).any(1)
    assert 1 <= unknown.sum() <= 3
    assert LOST_BLOCK in frames[unknown]
    for frame, counts in zip(
        frames[~unknown], activity.values()[~unknown], strict=True
    ):
        units = [unit for unit, _ in publisher.spikes_in(frame)]
        assert counts.tolist() == [units.count(unit) for unit in range(3)], frame
    assert "messages of Open Ephys were lost" in bridge.said


def test_units_are_learned_and_kept(session):
    daemon, _, record = session
    expected = [f"{electrode}/{sorted_id}" for electrode, sorted_id in publisher.UNITS]
    assert record.about.meta["units"] == expected
    kept = Path(daemon.settings.record.folder).parent / "units.txt"
    assert read_units(kept) == expected
    assert record.about.neuron_ids == [0, 1, 2]


def test_edges_come_along_on_the_same_clock(session):
    _, _, record = session
    edges = record.sync
    assert set(edges["line"]) == {4}
    blocks = edges["t"] * publisher.SAMPLE_HZ / publisher.BLOCK
    assert np.round(blocks) % publisher.EDGE_EVERY == pytest.approx(0)
    assert set(np.diff(edges["value"])) == {-1, 1}


def test_images_are_refused_where_units_were_announced(tmp_path):
    settings = settings_in(tmp_path, rois=RoiSettings(units=True))
    with Daemon(tmp_path, settings) as daemon, Scope(daemon) as scope:
        scope.scan(1)
        daemon.until(lambda: daemon.events("refused"))
        assert "rois.units = true" in daemon.events("refused")[0].message


def test_spikes_become_a_movie(tmp_path):
    """Of an encoder that was never trained: what counts is that they get there."""
    ids, encoder = list(range(40)), tmp_path / "units.safetensors"
    made = trained_encoder.untrained(encoder, ids, (1, len(ids)))
    made.card.meta["units"] = RATE_UNITS
    save(made)
    settings = settings_in(
        tmp_path, encoder=EncoderSettings(checkpoint=str(encoder)), invert=FAST
    )
    start_of_units = {"shape": (1, 40), "dtype": "float32", "units": ids}
    layout = {"source": "test", "rate_hz": RATE_HZ, **start_of_units}
    spikes = np.random.default_rng(0).poisson(0.1, (4 * N_BINS, 1, 40))
    with (
        Daemon(tmp_path, settings) as daemon,
        contextlib.closing(Sender(settings.wire.frames, **layout)) as sender,
    ):
        daemon.until(lambda: daemon.ask("status")["inverting"], SLOW_S)
        assert sender.wait_for_daemon(SLOW_S)
        bins = iter(enumerate(spikes.astype(np.float32)))

        def a_movie_comes() -> bool:
            number, counts = next(bins)
            sender.frame(counts, number, number / RATE_HZ)
            time.sleep(1 / RATE_HZ)
            return bool(daemon.all(messages.Movie))

        daemon.until(a_movie_comes, SLOW_S)
        (movie, *_) = daemon.all(messages.Movie)
    assert movie.shape[1:] == (36, 64)
    assert 0 < max(movie.information_fraction) <= 1


def test_settings_for_spikes_pass_the_check(tmp_path):
    settings = settings_in(tmp_path, rois=RoiSettings(units=True))
    found = list(check(settings))
    assert "units: whatever the session tells of; no encoder, so no movie" in found
    assert not any(line.startswith("front:") for line in found)
