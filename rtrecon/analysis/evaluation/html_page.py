"""An evaluation as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from rtrecon.analysis import html
from rtrecon.analysis.evaluation.evaluation import TITLES, Evaluation, cell, columns
from rtrecon.analysis.evaluation.figure import Table
from rtrecon.analysis.evaluation.page import mosaic
from rtrecon.analysis.evaluation.scores import Made
from rtrecon.analysis.html import bullets, image, text


def write_web(evaluation: Evaluation, page: Path, path: Path) -> None:
    """Write the figures as tables, the page (a PNG) and the best and the worst clip."""
    parts = [
        f"<h1>{text(evaluation.about['session'])}</h1>",
        f"<p>{text(evaluation.sentence())}</p>",
        *(_table(TITLES[name], table) for name, table in evaluation.tables.items()),
        _clip("Best clip", evaluation.best),
        _clip("Worst clip", evaluation.worst),
        "<h2>The page</h2>",
        image(page.read_bytes(), "all figures on one page"),
        bullets("Notes", [*evaluation.notes, f"the map is of {evaluation.map_of}"]),
        bullets("How", [f"{key}: {value}" for key, value in evaluation.about.items()]),
    ]
    title = f"rtrecon evaluate: {evaluation.about['session']}"
    html.write_document(path, title, parts)


def _table(title: str, table: Table) -> str:
    names = columns(table)
    rows = (
        (label, *(cell(row.get(name)) for name in names))
        for label, row in table.items()
    )
    return f"<h2>{text(title)}</h2>{html.table(('', *names), rows)}"


def _clip(title: str, made: Made) -> str:
    what = "made" if made.clip.shown is None else "shown above, made below"
    drawn = image(html.png(mosaic(made)), f"{title}: frames", "frames")
    return f"<h2>{title}: {text(made.clip.name)}</h2><p>{what}</p>{drawn}"
