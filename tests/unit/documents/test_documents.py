"""Documents and code agree: links lead to files, figures are the measured ones."""

from __future__ import annotations

import ast
import importlib.util
import re
from types import ModuleType

import pytest

import rtrecon
from tests.support.paths import BENCHMARKS, REPOSITORY

MAX_README_LINES = 120
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bridge/**/*.md")
    for path in REPOSITORY.glob(pattern)
    if not {"_build", "auto_tutorials", "reference"} & set(path.parts)
)
# Written by `make docs`, so a fresh clone has none of them.
GENERATED = ("reference/", "auto_tutorials/")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


def list_broken_links(document) -> list[str]:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
    targets = [
        target
        for target in LINK.findall(text)
        if "://" not in target and not any(part in target for part in GENERATED)
    ]
    return [
        target
        for target in targets
        if not any(
            (document.parent / f"{target}{suffix}").exists() for suffix in ("", ".md")
        )
    ]


def load_benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_every_relative_link_leads_to_a_file(document):
    assert list_broken_links(document) == []


def test_the_readme_is_short():
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_README_LINES


def test_the_benchmarks_page_shows_the_committed_results():
    page = load_benchmark("page")
    rendered = page.render_page(page.read_results(BENCHMARKS / "results"))
    assert page.PAGE.read_text(encoding="utf-8") == rendered


def test_every_public_name_can_be_imported_and_is_documented():
    reference = (REPOSITORY / "docs" / "reference" / "api.md").read_text("utf-8")
    for name in rtrecon.__all__:
        assert getattr(rtrecon, name)
        assert name == "__version__" or f"autofunction:: {name}" in reference


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'movie'"):
        _ = rtrecon.movie


@pytest.mark.parametrize(
    "script",
    sorted((REPOSITORY / "docs" / "tutorials").glob("*.py")),
    ids=lambda path: path.stem,
)
def test_tutorials_use_only_names_that_exist(script):
    """`make docs` runs the tutorials; this finds a renamed import within a second."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imported = [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (node.module or "").startswith("rtrecon")
    ]
    assert imported
    for module_name, name in imported:
        module = importlib.import_module(module_name)
        qualified = f"{module_name}.{name}"
        assert hasattr(module, name) or importlib.util.find_spec(qualified), qualified
