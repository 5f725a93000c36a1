"""The reference page of the recorded session, written from the code itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from rtrecon.protocol import messages
from rtrecon.session.about import About, Clip, DishAbout
from rtrecon.session.field_docs import FieldDoc, describe_fields
from rtrecon.session.provenance import Machine
from rtrecon.session.session_files import CALIBRATION_STATE_FILE, ENCODER_FILE
from rtrecon.session.tables import (
    ABOUT_FILE,
    ARRAYS_FOLDER,
    MESSAGE_FILES,
    RAW_MESSAGES_FILE,
    TRACE_NAMES,
    TableSpec,
    ValuesSpec,
    make_table_specs,
)

_INTRODUCTION = f"""# The recorded session: every array and table

A session is one folder, named after the moment it began and its id. Every file can be
read while the session is being recorded.

| File | Content |
|--|--|
| `{ABOUT_FILE}` | constants of the session |
| `{ARRAYS_FOLDER}` | tables and arrays, Zarr version 3 |
| `events.jsonl`, `quality.jsonl`, `health.jsonl` | published messages, one per line |
| `calibration.jsonl` | progress of an encoder trained in the session, likewise |
| `{ENCODER_FILE}`, `encoder-training.*` | this encoder, and its report |
| `{CALIBRATION_STATE_FILE}` | what its training needs after an interruption |
| `clips.jsonl` | where each stimulus clip begins |
| `{RAW_MESSAGES_FILE}` | every message received; only with `recording.raw_messages` |
| `reference_plane0.npz` | template, masks and stored field of each plane |
| `state_plane0.npz` | state of each plane's frame processor, to resume the session |
| `trace_quality_plane0.csv` | noise and signal to noise of each ROI's trace |

Each table in `{ARRAYS_FOLDER}` is a group. `rows` is float64 with one row per frame,
sample or hop and one column per quantity; the group's attributes `columns`,
`column_units` and `column_descriptions` say what the columns are. `values`, where the
table has it, holds what was measured at each row; its attributes `units` and
`long_name` say what that is. Chunks are not compressed;
each ends with its checksum (codec `crc32c`). Missing numbers are NaN.
"""
_MESSAGE_CLASSES: dict[str, type[msgspec.Struct]] = {
    "events": messages.Event,
    "quality": messages.Quality,
    "health": messages.Health,
    "calibration": messages.Calibration,
    "clips": Clip,
}
# Sizes in the reference that depend on the session.
_DISH = DishAbout(
    shape=(1, 1), view_shape=(1, 1), view_step_px=1, um_per_px=1.0, interval_s=600.0
)
_EXAMPLE = About(
    session="", roi_ids=[0], neuron_ids=[0], dish=_DISH, has_photodiode=True
)
_SIZES = {
    "roi": "ROIs",
    "neuron": "neurons",
    "window_frame": "window_frames",
    "age": "window_frames / hop_frames + 1",
    "y": "height",
    "x": "width",
    "trace": str(len(TRACE_NAMES)),
}


def session_reference() -> str:
    """Return the page as Markdown."""
    specs = make_table_specs(_EXAMPLE)
    sections = [
        _INTRODUCTION,
        f"## Constants: `{ABOUT_FILE}`\n",
        _make_table(describe_fields(About)),
        "### `machine`\n",
        _make_table(describe_fields(Machine)),
        "### `dish`\n",
        _make_table(describe_fields(DishAbout)),
        *(_describe_table(name, spec) for name, spec in specs.items()),
        *(_describe_messages(name, kind) for name, kind in _MESSAGE_CLASSES.items()),
    ]
    return "\n".join(sections)


def _describe_table(name: str, spec: TableSpec) -> str:
    parts = [
        f"## Table `{name}`\n",
        f"{_first_line(spec.row_type)}\n",
        f"`{ARRAYS_FOLDER}/{name}/rows`: float64 "
        f"({spec.row_dimension}s, {len(spec.columns)} columns)\n",
        _make_table(spec.column_docs),
    ]
    if spec.values is not None:
        parts.append(_describe_values(name, spec.row_dimension, spec.values))
    return "\n".join(parts)


def _describe_values(name: str, row_dimension: str, values: ValuesSpec) -> str:
    sizes = [f"{row_dimension}s", *(_SIZES[name] for name in values.dimensions)]
    dtype = np.dtype(values.dtype).name
    return (
        f"`{ARRAYS_FOLDER}/{name}/values`: {dtype} ({', '.join(sizes)}), in "
        f"{values.unit}. {values.description}\n"
    )


def _describe_messages(name: str, message_class: type[msgspec.Struct]) -> str:
    return "\n".join(
        [
            f"## File `{MESSAGE_FILES[name]}`\n",
            f"{_first_line(message_class)} One JSON object per line.\n",
            _make_table(describe_fields(message_class)),
        ]
    )


def _make_table(docs: Sequence[FieldDoc]) -> str:
    lines = ["| Name | Unit | Meaning |", "|--|--|--|"]
    lines += [f"| `{doc.name}` | {doc.unit} | {doc.description} |" for doc in docs]
    return "\n".join(lines) + "\n"


def _first_line(struct: type[msgspec.Struct]) -> str:
    return (struct.__doc__ or "").splitlines()[0]
