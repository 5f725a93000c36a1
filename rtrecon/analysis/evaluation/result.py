"""The result of an evaluation: tables of scores, and what the pictures need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table as RichTable

from rtrecon.analysis.evaluation.experiment import LIVE_ROW, NULL_ROW
from rtrecon.analysis.evaluation.scores import ClipResult
from rtrecon.analysis.evaluation.statistic import Statistic, StatisticTable
from rtrecon.core.types import Array

# The title of each table.
TABLE_TITLES = {
    "quality": "Quality of the final movie",
    "lag": "Age of the frames",
    "neurons": "Share of neurons used",
    "steps": "Steps per hop",
    "encoders": "Encoders of the ensemble",
    "controls": "Controls",
    "behavior": "What the mouse was doing",
}


@dataclass(frozen=True)
class EvaluationResult:
    """Everything that an evaluation found.

    tables: see `TABLE_TITLES`. clips: one entry per clip, in order of time, JSON.
    notes: sentences. identifiability_map: (36, 64) 0..1; map_source: where it comes
    from; state_maps: the same over the frames of one state of the mouse. best, worst:
    by r with the stimulus where the neurons look, or of held-out neurons if it is
    unknown.
    """

    about: dict[str, Any]
    tables: dict[str, StatisticTable]
    clips: list[dict[str, Any]]
    notes: list[str]
    identifiability_map: Array
    map_source: str
    state_maps: dict[str, Array]
    best: ClipResult
    worst: ClipResult

    def summarize(self) -> str:
        """Return the main result as one sentence."""
        quality, session = self.tables["quality"], self.about["session"]
        live = quality[LIVE_ROW]
        if live["visual_field_r"].mean is None:
            r, null = (quality[row]["held_out_r"] for row in (LIVE_ROW, NULL_ROW))
            return f"{session}: held-out neurons' r {r.format()}, null {null.format()}"
        baselines = [
            f"{name} {row['visual_field_r'].format()}"
            for name, row in quality.items()
            if name != LIVE_ROW
        ]
        return (
            f"{session}: r where the neurons look {live['visual_field_r'].format()}, "
            f"{', '.join(baselines)}; on the whole screen {live['video_r'].format()}"
        )

    def to_json(self) -> str:
        """Return tables, clips, map and notes as JSON text."""
        document = {
            **self.about,
            "tables": tables_to_json(self.tables),
            "clips": self.clips,
            "identifiability": {
                "of": self.map_source,
                "map": self.identifiability_map.round(3).tolist(),
                "by_state": {
                    name: found.round(3).tolist()
                    for name, found in self.state_maps.items()
                },
            },
            "notes": self.notes,
        }
        return json.dumps(document, indent=1, allow_nan=False) + "\n"


def tables_to_json(tables: Mapping[str, StatisticTable]) -> dict[str, Any]:
    """Return tables by name as plain values for JSON."""
    return {
        title: {
            label: {name: figure.to_dict() for name, figure in row.items()}
            for label, row in table.items()
        }
        for title, table in tables.items()
    }


def list_columns(table: StatisticTable) -> list[str]:
    """Return the names of a table's scores, each once, in order."""
    return list(dict.fromkeys(name for row in table.values() for name in row))


def format_cell(figure: Statistic | None) -> str:
    """Return a score as text; empty if the row has no score of that name."""
    return "" if figure is None else figure.format()


def make_terminal_table(evaluation: EvaluationResult) -> RichTable:
    """Return the main scores as a table for the terminal, 80 columns wide."""
    columns = {
        "visual_field_r": "visual field",
        "video_r": "whole screen",
        "held_out_r": "held out",
    }
    terminal_table = RichTable(box=None, pad_edge=False)
    for header in ("r: mean ± s.d. over clips", *columns.values(), "clips"):
        terminal_table.add_column(header, no_wrap=True)
    for title, table in evaluation.tables.items():
        terminal_table.add_row(TABLE_TITLES[title], style="bold")
        for label, row in table.items():
            figures = [row.get(name) for name in columns]
            clips = max(figure.n_clips for figure in figures if figure is not None)
            cells = [_format_short(figure) for figure in figures]
            terminal_table.add_row(f" {label}", *cells, str(clips))
    return terminal_table


def _format_short(figure: Statistic | None) -> str:
    if figure is None or figure.mean is None:
        return "" if figure is None else "not known"
    return f"{figure.mean:.2f} ± {figure.sd:.2f}"
