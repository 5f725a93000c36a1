"""The page for authors of senders marks exactly the fields that the code requires."""

from __future__ import annotations

import re

import msgspec
import pytest

from rtrecon.protocol import messages
from tests.support.paths import REPOSITORY

SECTIONS = {
    "start": messages.SessionStart,
    "frame": messages.Frame,
    "stimulus": messages.StimulusFrame,
    "behavior": messages.BehaviorSample,
    "sync": messages.SyncEdge,
    "end": messages.SessionEnd,
}
IN_EVERY_MESSAGE = {"session", "seq"}  # in a table of their own


def read_field_table(section: str) -> dict[str, str]:
    """Return what the column `required` says, by field."""
    page = (REPOSITORY / "bridge" / "README.md").read_text(encoding="utf-8")
    _, _, rest = page.partition(f"\n### {section}: ")
    table = rest.partition("\n### ")[0]
    rows = re.findall(r"^\| (`.+?) \|(.*?)\|", table, flags=re.M)
    return {
        name: required.strip()
        for names, required in rows
        for name in re.findall(r"`(\w+)`", names)
    }


@pytest.mark.parametrize(("section", "message"), SECTIONS.items(), ids=SECTIONS)
def test_the_wire_page_marks_the_fields_that_a_message_needs(section, message):
    fields = msgspec.structs.fields(message)
    required = {each.encode_name for each in fields if each.required}
    documented = read_field_table(section)
    marked = {name for name, text in documented.items() if text == "**yes**"}
    assert marked == required - IN_EVERY_MESSAGE
    assert documented.keys() <= {each.encode_name for each in fields}
