"""Was this session's field the one stored with its encoder? A picture per plane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rtrecon import config
from rtrecon.core.errors import UserError
from rtrecon.imaging.field_match.comparison import compare_fields
from rtrecon.session.resume_state import load_reference, reference_file
from rtrecon.session.session import Session


def field_reports(folder: Path) -> Iterator[str]:
    """Write `field_plane0.png` and `.json` into a session's folder, for each plane.

    Yields a sentence for each. Raises UserError where the session is none, or its
    neurons were not drawn on another day's image.
    """
    from rtrecon.imaging.field_match.picture import draw_report  # takes long to import

    settings = config.parse(json.dumps(Session(folder).about.settings))
    for plane in range(len(list(folder.glob("reference_plane*.npz")))):
        reference, known = load_reference(reference_file(folder, plane), settings)
        if known.image is None:
            raise UserError(
                f"the neurons of {folder} were drawn on its own image: there is no "
                "other day to compare it with"
            )
        today = reference.today
        report = compare_fields(today, known.image, known.rois, settings.field)
        picture = folder / f"field_plane{plane}.png"
        draw_report(report, picture)
        text = json.dumps(report.as_json(), indent=2)
        picture.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        yield f"{picture}: {report.sentence}"
