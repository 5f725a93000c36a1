"""Explains mistakes in TOML files: which key, which line, and what to write instead."""

from __future__ import annotations

import re
import tomllib

_POSITION = re.compile(r"\(at line (\d+), column \d+\)")
_SECTION = re.compile(r"\s*\[+\s*([^\[\]]+?)\s*\]+")
_KEY_AND_VALUE = re.compile(r"\s*([\w.\"'-]+)\s*=\s*(.*)")
# Kinds of values that people write, and what to do about each.
_CURES = (
    (
        r'"[^"]*\\',
        "a backslash in double quotes begins an escape sequence; write the text in "
        "single quotes, like 'C:\\Users\\lab\\masks.npy'",
    ),
    ("[“”„‘’«»]", "these are typographic quotes; type plain ones, like 'masks.npy'"),
    ("(True|False)\\b", "write true or false in lower case"),
    (r"[+-]?\d+,\d+", "write a decimal point, not a comma"),
    (r"[^\W\d]|[~./\\$]", "write text in single quotes, like 'masks.npy'"),
)


def explain_toml_error(text: str, error: tomllib.TOMLDecodeError) -> str:
    """Return what is wrong in a text that is not TOML, as part of a sentence."""
    position = _POSITION.search(str(error))
    lines = text.split("\n")
    number = min(int(position[1]), len(lines)) if position else len(lines)
    key_and_value = _KEY_AND_VALUE.match(lines[number - 1])
    if key_and_value is None:
        return f"is not TOML: {error}"
    key, value = key_and_value[1], key_and_value[2].strip()
    cures = (cure for pattern, cure in _CURES if re.match(pattern, value))
    cure = next(cures, str(error))
    return (
        f"line {number}: '{_find_section(lines[: number - 1])}{key}' = {value}: {cure}"
    )


def _find_section(lines: list[str]) -> str:
    """Return the name of the last section that begins in these lines, and a dot."""
    headers = [_SECTION.match(line) for line in lines]
    names = [header[1] for header in headers if header is not None]
    return f"{names[-1]}." if names else ""
