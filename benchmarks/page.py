"""Writes docs/benchmarks.md from the results that are committed.

    make benchmarks-page

The text is in `page.md.jinja`, every number in `results/*.json`. Run it again after a
benchmark.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"


def read_results(folder: Path) -> dict[str, Any]:
    """Return each committed result by the name of its file."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
        if ".quick" not in path.name
    }


def render_page(results: dict[str, Any]) -> str:
    """Return the page; a figure that is missing in the results is an error."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for digits in range(4):
        environment.filters[f"d{digits}"] = _make_rounding_filter(digits)
    figures = {name: figures for name, figures in results.items() if name != "loop"}
    return environment.get_template("page.md.jinja").render(
        loop_=results["loop"], loop_machine=results["loop"]["machine"], **figures
    )


def _make_rounding_filter(digits: int) -> Any:
    def round_text(value: float | None) -> str:
        if value is None:
            return "not measured"
        return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: never "-0.00"

    return round_text


def main() -> None:
    """Write the page."""
    PAGE.write_text(render_page(read_results(HERE / "results")), encoding="utf-8")


if __name__ == "__main__":
    main()
