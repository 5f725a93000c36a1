"""The generated wire reference."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from rtrecon.protocol import messages
from rtrecon.protocol.reference import wire_reference

STRUCTS = (
    *get_args(messages.IncomingMessage),
    *get_args(messages.PublishedMessage),
    messages.GapCounts,
    messages.HeldOutPrediction,
    messages.LatencyPercentiles,
)
TABLE = wire_reference().splitlines()


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_is_in_the_reference_with_a_description(struct):
    for field in msgspec.structs.fields(struct):
        rows = [row for row in TABLE if row.startswith(f"| `{field.name}` |")]
        assert rows
        assert all(row.split(" | ")[-1].strip(" |").endswith(".") for row in rows)


def test_a_row_gives_type_default_unit_and_meaning():
    assert (
        "| `rate_hz` | float | yes | Hz | "
        "Frames (with several planes: volumes) per second. |"
    ) in TABLE
    assert "| `channels` | list of int | no, `[1]` |" in "\n".join(TABLE)
    assert "| `gaps` | GapCounts | no," in "\n".join(TABLE)
