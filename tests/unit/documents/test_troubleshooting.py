"""The sentences that the troubleshooting page quotes are those of the program.

A quoted sentence is in italics, in the first column of a table. `N`, `A`, `B`, `C`,
`D`, `PATH`, `KEY`, `x`, `y` and `...` stand for what the program fills in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import rtrecon
from rtrecon.config import Settings

SOURCE = Path(rtrecon.__file__).parent
PAGE = SOURCE.parent / "docs" / "troubleshooting.md"
PLACEHOLDER = re.compile(r"\.\.\.|\b(?:N|A|B|C|D|PATH|KEY|x|y)\b")
FILLED_IN = "\0"


def first_columns() -> list[str]:
    lines = PAGE.read_text("utf-8").splitlines()
    return [line.split("|")[1] for line in lines if line.startswith("|")]


def quoted_sentences() -> list[str]:
    italics = re.compile(r"(?<!\*)\*([^*]+)\*(?!\*)")
    return [quoted for column in first_columns() for quoted in italics.findall(column)]


def quoted_banners() -> list[str]:
    words = re.findall(r"\*\*([^*]+)\*\*", " ".join(first_columns()))
    return sorted(
        {word for word in words if word not in ("POOR", "NO DATA", "NO MOVIE")}
    )


@cache
def program_texts() -> list[str]:
    """Every text in the source; what the program fills in is `FILLED_IN`."""
    texts = list[str]()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            texts += read_text(node)
    return texts


def read_text(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [
            part.value if isinstance(part, ast.Constant) else FILLED_IN
            for part in node.values
        ]
        yield "".join(str(part) for part in parts)


def test_the_page_quotes_sentences():
    assert len(quoted_sentences()) > 25


@pytest.mark.parametrize("sentence", quoted_sentences())
def test_the_program_has_every_quoted_sentence(sentence):
    parts = [part.strip() for part in PLACEHOLDER.split(sentence)]
    pattern = re.compile(".*?".join(map(re.escape, parts)), re.DOTALL)
    longest = max(parts, key=len)
    candidates = [text for text in program_texts() if longest in text]
    assert any(pattern.search(text) for text in candidates), sentence


def test_every_banner_is_on_the_page():
    documented = {banner.lower() for banner in quoted_banners()}
    [health] = [
        text for text in program_texts() if text.startswith("What is wrong now and")
    ]
    assert documented == set(re.findall(r"`([^`]+)`", health))
    assert documented <= set(program_texts())


def test_every_setting_on_the_page_exists():
    named = re.findall(r"`([a-z_]+)\.([a-z_]+)`", PAGE.read_text("utf-8"))
    sections = Settings.model_fields
    unknown = [
        f"{section}.{key}"
        for section, key in named
        if section not in sections
        or key not in sections[section].annotation.model_fields
    ]
    assert len(named) > 8
    assert unknown == []
