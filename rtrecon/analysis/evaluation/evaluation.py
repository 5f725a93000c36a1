"""What came of an evaluation: figures by table, and what the pictures need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rich.table import Table as RichTable

from rtrecon.analysis.evaluation.experiment import LIVE, NULL
from rtrecon.analysis.evaluation.figure import Figure, Table
from rtrecon.analysis.evaluation.scores import Made
from rtrecon.core.types import Array

# By table: what its rows are.
TITLES = {
    "quality": "Quality of the final movie",
    "lag": "Age of the frames",
    "neurons": "Share of neurons used",
    "steps": "Steps per hop",
    "encoders": "Encoders of the ensemble",
    "controls": "Controls",
    "behavior": "What the mouse was doing",
}


@dataclass(frozen=True)
class Evaluation:
    """All that is told of a session.

    tables: see `TITLES`. clips: one entry per clip, in order of time, JSON. notes:
    sentences. map: (36, 64) 0..1, identifiability; map_of: where it comes from;
    state_maps: the same over the frames of one state of the mouse. best, worst: by r
    with the stimulus, or of held-out neurons where that is unknown.
    """

    about: dict[str, Any]
    tables: dict[str, Table]
    clips: list[dict[str, Any]]
    notes: list[str]
    map: Array
    map_of: str
    state_maps: dict[str, Array]
    best: Made
    worst: Made

    def sentence(self) -> str:
        """Return what a user wants to know first."""
        live, null = self.tables["quality"][LIVE], self.tables["quality"][NULL]
        name = "video_r" if live["video_r"].mean is not None else "held_out_r"
        what = {"video_r": "video correlation", "held_out_r": "held-out neurons' r"}
        return (
            f"{self.about['session']}: {what[name]} {live[name].text()}, "
            f"null {null[name].text()}"
        )

    def as_json(self) -> str:
        """Return figures, clips, map and notes as JSON text."""
        told = {
            **self.about,
            "tables": {
                title: {
                    label: {name: figure.as_json() for name, figure in row.items()}
                    for label, row in table.items()
                }
                for title, table in self.tables.items()
            },
            "clips": self.clips,
            "identifiability": {
                "of": self.map_of,
                "map": self.map.round(3).tolist(),
                "by_state": {
                    name: found.round(3).tolist()
                    for name, found in self.state_maps.items()
                },
            },
            "notes": self.notes,
        }
        return json.dumps(told, indent=1, allow_nan=False) + "\n"


def columns(table: Table) -> list[str]:
    """Return the names of a table's figures, each once, in order."""
    return list(dict.fromkeys(name for row in table.values() for name in row))


def cell(figure: Figure | None) -> str:
    """Return a figure for a reader; nothing where the row has none of that name."""
    return "" if figure is None else figure.text()


def evaluation_table(evaluation: Evaluation) -> RichTable:
    """Return the figures of most interest for `rich.print`; 80 columns hold them."""
    names = ("video_r", "frame_r", "held_out_r")
    shown = RichTable(box=None, pad_edge=False)
    for name in ("mean ± s.d. over clips", *names, "clips"):
        shown.add_column(name, no_wrap=True)
    for title, table in evaluation.tables.items():
        shown.add_row(TITLES[title], style="bold")
        for label, row in table.items():
            figures = [row.get(name) for name in names]
            clips = max(figure.clips for figure in figures if figure is not None)
            cells = [_short(figure) for figure in figures]
            shown.add_row(f" {label}", *cells, str(clips))
    return shown


def _short(figure: Figure | None) -> str:
    if figure is None or figure.mean is None:
        return "" if figure is None else "not known"
    return f"{figure.mean:.2f} ± {figure.sd:.2f}"
