"""How the documentation is built: `make docs`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# The tutorials draw figures and show no window.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import rtrecon

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "rtrecon"
author = "The rtrecon developers"
copyright = author
version = release = rtrecon.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "tutorials/README.rst"]
nitpicky = False
suppress_warnings = ["config.cache"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True

sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "auto_tutorials",
    "within_subsection_order": "FileNameSortKey",
    "filename_pattern": r"/\d_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 5,
    "plot_gallery": os.environ.get("RTRECON_DOCS_TUTORIALS", "1") == "1",
}

html_theme = "pydata_sphinx_theme"
html_title = "rtrecon"
html_static_path = ["_static"]
html_css_files = ["rtrecon.css"]
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}
html_show_sourcelink = False


def setup(app: Any) -> None:
    """Write the reference pages from the code before Sphinx reads the sources."""
    from generated_pages import write_generated_pages

    app.connect("builder-inited", lambda _: write_generated_pages(HERE / "reference"))
