"""An evaluation as one HTML file that needs nothing else: no script, no other file."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

from matplotlib.image import imsave

from rtrecon.evaluate.evaluation import TITLES, Evaluation, cell, columns
from rtrecon.evaluate.figures import Table
from rtrecon.evaluate.page import mosaic
from rtrecon.evaluate.scores import Made

_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: .5em 0 1.5em }
th, td { padding: .15em .8em .15em 0; text-align: left; white-space: nowrap }
thead th { border-bottom: 1px solid #999; font-weight: normal; color: #555 }
tbody th { font-weight: normal }
img { max-width: 100% }
img.frames { width: 100%; image-rendering: pixelated }
div { overflow-x: auto }
"""


def write_web(evaluation: Evaluation, page: Path, path: Path) -> None:
    """Write the figures as tables, the page (a PNG) and the best and the worst clip."""
    parts = [
        f"<h1>{_text(evaluation.about['session'])}</h1>",
        f"<p>{_text(evaluation.sentence())}</p>",
        *(_table(TITLES[name], table) for name, table in evaluation.tables.items()),
        _clip("Best clip", evaluation.best),
        _clip("Worst clip", evaluation.worst),
        "<h2>The page</h2>",
        _image(page.read_bytes(), "all figures on one page"),
        _list("Notes", [*evaluation.notes, f"the map is of {evaluation.map_of}"]),
        _list("How", [f"{key}: {value}" for key, value in evaluation.about.items()]),
    ]
    title = _text(f"rtrecon evaluate: {evaluation.about['session']}")
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n",
        encoding="utf-8",
    )


def _table(title: str, table: Table) -> str:
    names = columns(table)
    head = "".join(f"<th>{_text(name)}</th>" for name in ("", *names))
    body = "\n".join(
        f"<tr><th>{_text(label)}</th>"
        + "".join(f"<td>{cell(row.get(name))}</td>" for name in names)
        + "</tr>"
        for label, row in table.items()
    )
    return (
        f"<h2>{_text(title)}</h2><div><table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>"
    )


def _clip(title: str, made: Made) -> str:
    file = io.BytesIO()
    imsave(file, mosaic(made), cmap="gray", vmin=0, vmax=255, format="png")
    what = "made" if made.clip.shown is None else "shown above, made below"
    image = _image(file.getvalue(), f"{title}: frames", "frames")
    return f"<h2>{title}: {_text(made.clip.name)}</h2><p>{what}</p>{image}"


def _image(png: bytes, alt: str, kind: str = "page") -> str:
    inline = base64.b64encode(png).decode("ascii")
    return (
        f'<img class="{kind}" alt="{_text(alt)}" src="data:image/png;base64,{inline}">'
    )


def _list(title: str, lines: list[str]) -> str:
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f"<h2>{title}</h2><ul>{items}</ul>"


def _text(value: object) -> str:
    return html.escape(str(value))
