"""HTML files that need no other file and no script, from Jinja templates.

Pictures, drawings and movies are part of the page as data URLs, so that a user can mail
the file, keep it, and print it.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.image import imsave

from rtrecon.core.figures import render_svg
from rtrecon.core.types import Array

# Colours that people with any colour vision can distinguish (Okabe and Ito 2008).
BLUE, VERMILION, GRAY = "#0072B2", "#D55E00", "#999999"
GREEN, PURPLE = "#009E73", "#CC79A7"
_GAP_PX = 2
_NAN_GRAY = 127.0


def render_page(template: str, **context: Any) -> str:
    """Return the page that a template of `analysis/templates` makes of its context.

    Values are escaped: text from a session never becomes HTML.
    """
    environment = Environment(
        loader=PackageLoader("rtrecon.analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**context)


def encode_png_url(gray: Array) -> str:
    """Return an image of gray levels 0 to 255 as a data URL."""
    file = io.BytesIO()
    imsave(file, gray, cmap="gray", vmin=0, vmax=255, format="png")
    return encode_data_url(file.getvalue(), "image/png")


def encode_svg_url(figure: Figure) -> str:
    """Return a matplotlib figure as a data URL; it is sharp at any size."""
    return encode_data_url(render_svg(figure), "image/svg+xml")


def encode_data_url(data: bytes, mime: str) -> str:
    """Return bytes as a URL that holds them."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def read_png_url(path: Path) -> str:
    """Return a PNG file as a data URL."""
    return encode_data_url(path.read_bytes(), "image/png")


def make_filmstrip(frames: Array) -> Array:
    """Return uint8 (height, width): frames (n, ...) side by side; NaN is gray."""
    filled = np.nan_to_num(frames, nan=_NAN_GRAY)
    gray = np.rint(filled.clip(0, 255)).astype(np.uint8)
    framed = np.pad(gray, ((0, 0), (0, _GAP_PX), (0, _GAP_PX)), constant_values=255)
    return np.concatenate(list(framed), axis=1)
