"""What no single module can promise: who imports whom, and nothing at import."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import rtrecon

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rtrecon.__path__, prefix="rtrecon.")
    if not module.name.endswith("__main__")  # running is all it is for
)

ALL = "rtrecon"
# What a process must not pay for or depend on, whatever it reaches in between.
FORBIDDEN = {
    # A session of neurons in the brain does not pay for the dish.
    "rtrecon.daemon.daemon": ("rtrecon.dish",),
    # Slow to import: a daemon that is started again is soon there.
    "rtrecon.daemon": ("torch", "PySide6", "scipy.stats", "av", "matplotlib"),
    # Only the picture of a comparison is drawn.
    "rtrecon.imaging.field_match.comparison": ("matplotlib",),
    "rtrecon.imaging": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.metrics": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.session": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.sources": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.display": ("torch", "numba"),
    ALL: (),
}
# One Python imports the packages of a line in this order, as a start costs a second. A
# package must not find what another one before it may import.
ONE_PYTHON = (
    (
        "rtrecon.daemon.daemon",
        "rtrecon.daemon",
        "rtrecon.imaging.field_match.comparison",
        "rtrecon.imaging",
        "rtrecon.metrics",
        "rtrecon.session",
        "rtrecon.sources",
    ),
    ("rtrecon.display", ALL),
)

IMPORT_AND_REPORT = """
import importlib, json, sys, threading
found = {}
for package, (modules, forbidden) in json.load(sys.stdin).items():
    for name in modules:
        importlib.import_module(name)
    threads = [thread.name for thread in threading.enumerate()][1:]
    found[package] = threads + [name for name in forbidden if name in sys.modules]
print(json.dumps(found))
"""


def find_forbidden(
    packages: dict[str, tuple[list[str], tuple[str, ...]]], folder: Path
) -> dict[str, list[str]]:
    """Import modules in a fresh Python.

    packages: for each name, its modules and the modules that must not come with them.
    Returns for each name the threads and the forbidden modules that are there.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_AND_REPORT],
        input=json.dumps(packages),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def forbidden_found(tmp_path_factory) -> tuple[dict[str, list[str]], Path]:
    """What each package brings that it must not, and the folder of the imports."""
    folder = tmp_path_factory.mktemp("imports")
    found: dict[str, list[str]] = {}
    for packages in ONE_PYTHON:
        listed = {
            package: (
                [name for name in MODULES if name.startswith(package)],
                FORBIDDEN[package],
            )
            for package in packages
        }
        found |= find_forbidden(listed, folder)
    return found, folder


def test_import_contracts_hold():
    root = Path(rtrecon.__file__).parents[1]
    assert (
        lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True) == 0
    )


@pytest.mark.parametrize("package", FORBIDDEN)
def test_importing_a_package_starts_no_thread_and_imports_nothing_forbidden(
    forbidden_found, package: str
):
    found, _ = forbidden_found
    assert found[package] == []


def test_importing_writes_no_file(forbidden_found):
    _, folder = forbidden_found
    assert list(folder.iterdir()) == []
