"""Messages of Open Ephys, time bins of spikes, and sessions of units."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from rtrecon.config import RoiSettings
from rtrecon.core.errors import UserError
from rtrecon.daemon.field_neurons import NeuronSource
from rtrecon.encoder.card import DFF_UNITS, RATE_UNITS
from rtrecon.interfaces.open_ephys.message_parser import (
    OpenEphysFormatError,
    SampleBlock,
    SpikeEvent,
    TtlEdge,
    parse_message,
)
from rtrecon.interfaces.open_ephys.spike_bins import LATE_SPIKE_WAIT_S, SpikeBinner
from rtrecon.interfaces.open_ephys.units_file import read_units
from rtrecon.protocol import messages
from tests.support import trained_encoder

RATE_HZ = 30.0


def message(kind: bytes, header: dict, data: bytes = b"") -> list[bytes]:
    return [kind, json.dumps({"message_num": 7} | header).encode(), data]


# header and bytes -> parsed content
PARSED = {
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
        SampleBlock(100, 30000.0),
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
        SpikeEvent("E 1/2", 95),
    ),
    "an edge": (
        {"type": "event", "content": {"stream": "a", "type": 3, "sample_num": 96}},
        struct.pack("<BBQ", 5, 1, 32),
        TtlEdge(5, 1, 96),
    ),
    "another event": (
        {"type": "event", "content": {"stream": "a", "type": 5, "sample_num": 96}},
        b"text",
        None,
    ),
}


@pytest.mark.parametrize("case", PARSED)
def test_open_ephys_messages_are_parsed(case):
    header, data, content = PARSED[case]
    parsed = parse_message(message(b"DATA\0", header, data))
    assert (parsed.number, parsed.stream, parsed.content) == (7, "a", content)


@pytest.mark.parametrize(
    "parts",
    [[], [b"DATA\0"], [b"DATA\0", b"{"], [b"DATA\0", b'{"type": "data"}'], [b"", b"7"]],
)
def test_invalid_open_ephys_messages_are_refused(parts):
    with pytest.raises(OpenEphysFormatError):
        parse_message(parts)


def make_binner(spikes: list[tuple[str, int]]) -> SpikeBinner:
    """Bins of 1000 samples, from the first complete one after sample 500."""
    binner = SpikeBinner(["a", "b"], RATE_HZ, 30_000, 500)
    for unit, sample in spikes:
        binner.add_spike(unit, sample)
    return binner


WAIT_SAMPLES = round(LATE_SPIKE_WAIT_S * 30_000)  # samples


def test_spikes_are_counted_in_their_time_bin():
    binner = make_binner([("a", 1000), ("a", 1999), ("b", 2000), ("a", 3000)])
    first, second = binner.close_bins(3000 + WAIT_SAMPLES)
    assert (first.number, first.t_s, first.counts.tolist()) == (1, 1 / 30, [2, 0])
    assert (second.number, second.counts.tolist()) == (2, [0, 1])
    assert binner.close_bins(3999 + WAIT_SAMPLES) == []
    (third,) = binner.close_bins(4000 + WAIT_SAMPLES)
    assert third.counts.tolist() == [1, 0]


def test_a_bin_waits_a_bounded_time_for_late_spikes():
    binner = make_binner([("a", 1500)])
    assert binner.close_bins(2000) == []
    binner.add_spike("a", 1600)
    (first,) = binner.close_bins(2000 + WAIT_SAMPLES)
    binner.add_spike("a", 1700)
    assert first.counts.tolist() == [2, 0]
    assert binner.n_late == 1


def test_spikes_of_unknown_units_are_counted_separately():
    assert make_binner([("c", 1500)]).n_unknown_units == 1


def test_bins_with_lost_messages_are_nan():
    binner = make_binner([("a", 2500)])
    binner.mark_missing(1500, 2500)
    first, second, third = binner.close_bins(4000 + WAIT_SAMPLES)
    assert np.isnan([first.counts, second.counts]).all()
    assert third.counts.tolist() == [0, 0]


def test_units_are_read_from_a_file(tmp_path: Path):
    file = tmp_path / "units.txt"
    assert read_units(None) is read_units(file) is None
    file.write_text("Electrode 1/2\n\n Electrode 1/3 \n", encoding="utf-8")
    assert read_units(file) == ["Electrode 1/2", "Electrode 1/3"]
    file.write_text("a\na\n", encoding="utf-8")
    with pytest.raises(UserError, match="2 units, 1 of them different"):
        read_units(file)


def make_start(ids: list[int], **fields: object) -> messages.SessionStart:
    known = {"shape": (1, len(ids)), "dtype": "float32"}
    given = {"session": "s", "seq": 0, "source": "test", "rate_hz": RATE_HZ}
    return messages.SessionStart(**(given | known | fields))


def test_units_keep_their_ids_and_order():
    field = NeuronSource(None, None, RoiSettings(unit_rates=True)).select_for_session(
        make_start([7, 3, 5]), np.array([7, 3, 5])
    )
    assert field.rois.ids.tolist() == [7, 3, 5]
    assert field.plane_indices(0).tolist() == [0, 1, 2]


def test_units_of_another_encoder_are_refused():
    card = trained_encoder.make_untrained_checkpoint(
        Path("none"), [4, 2], (20, 30)
    ).card
    card.metadata["units"] = RATE_UNITS
    neurons = NeuronSource(card, None, RoiSettings())
    field = neurons.select_for_session(make_start([4, 2]), np.array([4, 2]))
    assert field.rois.ids.tolist() == [4, 2]
    for other in ([2, 4], [4], [4, 2, 9]):
        with pytest.raises(UserError, match="units of the encoder, in its order"):
            neurons.select_for_session(make_start(other), np.array(other))


# unit of training -> start message of a session in that unit
SESSIONS = {
    DFF_UNITS: {"shape": (20, 30), "dtype": "int16"},
    RATE_UNITS: {},
    "photons per bin": {"rate_unit": "photons per bin"},
}


@pytest.mark.parametrize("trained_on", SESSIONS)
def test_rates_in_another_unit_than_in_training_are_refused(trained_on):
    card = trained_encoder.make_untrained_checkpoint(
        Path("none"), [4, 2], (20, 30)
    ).card
    card.metadata["units"] = trained_on
    neurons = NeuronSource(card, None, RoiSettings())
    for other, fields in SESSIONS.items():
        if other == trained_on:
            field = neurons.select_for_session(
                make_start([4, 2], **fields), np.array([4, 2])
            )
            assert field.rois.ids.tolist() == [4, 2]
        else:
            sent = f"(rates are sent in|images give) {other}"
            expected = f"was trained on {trained_on}, but {sent}"
            with pytest.raises(UserError, match=expected):
                neurons.select_for_session(
                    make_start([4, 2], **fields), np.array([4, 2])
                )
