"""Compares a session's field with the field that is stored with its encoder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rtrecon import config
from rtrecon.core.errors import UserError
from rtrecon.imaging.field_match.comparison import compare_fields
from rtrecon.session.resume_state import get_reference_path, load_reference
from rtrecon.session.session import Session


def write_field_reports(folder: Path) -> Iterator[str]:
    """Write `field_plane0.png` and `.json` into a session's folder, for each plane.

    Yields one sentence per plane. Raises UserError if the folder is no session, or if
    its neurons were drawn on its own image.
    """
    from rtrecon.imaging.field_match.picture import draw_report  # takes long to import

    settings = config.parse(json.dumps(Session(folder).about.settings))
    for plane in range(len(list(folder.glob("reference_plane*.npz")))):
        reference, stored_field = load_reference(
            get_reference_path(folder, plane), settings
        )
        if stored_field.stored_image is None:
            raise UserError(
                f"the neurons of {folder} were drawn on its own image: there is no "
                "other day to compare it with"
            )
        today = reference.current_image
        report = compare_fields(
            today, stored_field.stored_image, stored_field.rois, settings.field_match
        )
        picture = folder / f"field_plane{plane}.png"
        draw_report(report, picture)
        text = json.dumps(report.to_json(), indent=2)
        picture.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        yield f"{picture}: {report.summary}"
