"""An evaluation as one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtrecon.analysis.evaluation.picture_page import make_frame_mosaic
from rtrecon.analysis.evaluation.result import (
    TABLE_TITLES,
    EvaluationResult,
    format_cell,
    list_columns,
)
from rtrecon.analysis.evaluation.scores import ClipResult
from rtrecon.analysis.evaluation.statistic import StatisticTable
from rtrecon.analysis.html import encode_png_url, read_png_url, render_page


def write_html(result: EvaluationResult, page: Path, path: Path) -> None:
    """Write the figures as tables, the page (a PNG) and the best and the worst clip."""
    html = render_page(
        "evaluation.html.jinja",
        title=f"rtrecon evaluate: {result.about['session']}",
        result=result,
        tables=list(_format_tables(result)),
        clips=[
            ("Best clip", _describe_clip(result.best)),
            ("Worst clip", _describe_clip(result.worst)),
        ],
        page_url=read_png_url(page),
    )
    path.write_text(html, encoding="utf-8")


def _format_tables(result: EvaluationResult) -> Iterator[tuple[str, Any, Any]]:
    for name, table in result.tables.items():
        columns = list_columns(table)
        rows = _format_rows(table, columns)
        if name == "quality":  # many scores of few rows
            rows = list(zip(columns, *(row[1:] for row in rows), strict=True))
            columns = list(table)
        yield TABLE_TITLES[name], ("", *columns), rows


def _format_rows(table: StatisticTable, columns: list[str]) -> list[tuple[str, ...]]:
    return [
        (label, *(format_cell(row.get(name)) for name in columns))
        for label, row in table.items()
    ]


def _describe_clip(clip: ClipResult) -> dict[str, str]:
    has_stimulus = clip.clip.stimulus is not None
    return {
        "name": clip.clip.name,
        "caption": "stimulus above, reconstruction below"
        if has_stimulus
        else "reconstruction",
        "mosaic_url": encode_png_url(make_frame_mosaic(clip)),
    }
