"""Reference pages that the code itself describes, written anew at every build."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from rtrecon.cli import app
from rtrecon.config.template import settings_reference
from rtrecon.protocol.reference import wire_reference
from rtrecon.rois.readers import registry as mask_registry
from rtrecon.session.reference import session_reference
from rtrecon.simulate.subjects import registry as subject_registry
from rtrecon.sources import registry as recording_registry

REPOSITORY = Path(__file__).parents[1]
SOURCE_URL = "https://github.com/rtrecon/rtrecon/blob/main"


def commands_reference() -> str:
    """Return a section for each public command: what it does, arguments, options."""
    group: Any = get_command(app)
    sections = [
        "\n".join(_describe_command(name, command))
        for name, command in group.commands.items()
        if not command.hidden
    ]
    return "`rtrecon COMMAND --help` prints the same.\n\n" + "\n".join(sections)


def _describe_command(name: str, command: Any) -> Iterator[str]:
    yield f"## rtrecon {name}\n"
    yield f"{command.help}\n"
    yield "| argument or option | default | meaning |"
    yield "|---|---|---|"
    for parameter in command.params:
        if parameter.name == "help":
            continue
        is_option = parameter.param_type_name == "option"
        label = " ".join(parameter.opts) if is_option else parameter.name.upper()
        meaning = (parameter.help or "").replace("|", "\\|")
        yield f"| `{label}` | {_format_default(parameter)} | {meaning} |"
    yield ""


def _format_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or callable(default) or default == []:
        return ""
    return f"`{default}`"


def sender_guide() -> str:
    """Return bridge/README.md with links that work on the website."""
    text = (REPOSITORY / "bridge" / "README.md").read_text(encoding="utf-8")
    text = text.replace("](../docs/reference/", "](").replace("](../docs/", "](../")
    return re.sub(r"\]\((matlab|python|windows)/", rf"]({SOURCE_URL}/bridge/\1/", text)


# By file: the title of a page that has none of its own, and what writes the text.
PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "commands.md": ("Commands", commands_reference),
    "settings.md": ("Settings", settings_reference),
    "wire.md": ("Messages", wire_reference),
    "sender.md": ("Write a sender", sender_guide),
    "session.md": ("Recorded arrays and tables", session_reference),
}
# Included by recordings.md, masks.md and subjects.md; not pages, and therefore not .md files.
TABLES: dict[str, Callable[[], str]] = {
    "recording-formats.txt": recording_registry.render_format_table,
    "mask-formats.txt": mask_registry.render_format_table,
    "subjects.txt": subject_registry.render_subject_table,
}


def write_generated_pages(folder: Path) -> None:
    """Write each page whose text has changed, so that Sphinx reads only those again."""
    texts = {name: render() for name, render in TABLES.items()}
    for name, (title, render) in PAGES.items():
        text = render()
        texts[name] = text if text.startswith("# ") else f"# {title}\n\n{text}"
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
