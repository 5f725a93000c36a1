"""HTML files that need nothing else: no script, no other file; made to be printed."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from rtrecon.core.types import Array

BLUE, VERMILION, GRAY = "#0072B2", "#D55E00", "#999999"  # any colour vision
_GAP_PX = 2
_LIGHT = 127.0  # gray where there is nothing
_STYLE = """
@page { size: A4; margin: 15mm }
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: .5em 0 1.5em }
th, td { padding: .15em .8em .15em 0; text-align: left; white-space: nowrap }
thead th { border-bottom: 1px solid #999; font-weight: normal; color: #555 }
tbody th { font-weight: normal }
img, video { max-width: 100% }
img.drawing, img.frames, video { width: 100% }
img.frames, video { image-rendering: pixelated }
td:last-child { white-space: normal }
div { overflow-x: auto }
.lead { font-size: 1.25em }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2em }
section, figure, .pair > div { break-inside: avoid }
figure { margin: 1em 0 }
figcaption, .quiet { color: #555 }
summary { cursor: pointer }
pre { font-size: 12px; white-space: pre-wrap }
@media print { body { margin: 0; font-size: 12px } video { display: none } }
"""


def write_document(path: Path, title: str, parts: Iterable[str]) -> None:
    """Write a page of these parts of HTML."""
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n",
        encoding="utf-8",
    )


def text(value: object) -> str:
    """Return what stands for itself in HTML."""
    return html.escape(str(value))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the first cell of each row names it."""
    names = "".join(f"<th>{text(name)}</th>" for name in head)
    body = "\n".join(
        f"<tr><th>{text(row[0])}</th>"
        + "".join(f"<td>{text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f"<div><table><thead><tr>{names}</tr></thead>\n<tbody>{body}</tbody></table>"
        "</div>"
    )


def bullets(title: str, lines: Iterable[str]) -> str:
    """Return a list under a title."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<h2>{text(title)}</h2><ul>{items}</ul>"


def image(data: bytes, alt: str, kind: str = "page", mime: str = "image/png") -> str:
    """Return a picture that is part of the page."""
    return f'<img class="{kind}" alt="{text(alt)}" src="{_inline(data, mime)}">'


def video(mp4: bytes) -> str:
    """Return a movie that is part of the page and plays over and over."""
    return f'<video controls loop muted src="{_inline(mp4, "video/mp4")}"></video>'


def drawing(figure: Figure, alt: str, caption: str = "") -> str:
    """Return a figure of matplotlib as it is drawn at any size."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    drawn = image(file.getvalue(), alt, "drawing", "image/svg+xml")
    told = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{drawn}{told}</figure>"


def filmstrip(frames: Array) -> Array:
    """Return uint8 (height, width): frames (n, ...) side by side; NaN is gray."""
    gray = np.rint(np.nan_to_num(frames, nan=_LIGHT).clip(0, 255)).astype(np.uint8)
    framed = np.pad(gray, ((0, 0), (0, _GAP_PX), (0, _GAP_PX)), constant_values=255)
    return np.concatenate(list(framed), axis=1)


def png(gray: Array) -> bytes:
    """Return an image of gray levels 0 to 255 as a PNG."""
    file = io.BytesIO()
    imsave(file, gray, cmap="gray", vmin=0, vmax=255, format="png")
    return file.getvalue()


def _inline(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
