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

# What a process must not pay for or depend on, whatever it reaches in between.
FORBIDDEN = {
    # Slow to import: a daemon that is started again is soon there.
    "rtrecon.daemon": ("torch", "PySide6", "scipy.stats", "av", "matplotlib"),
    # Only the picture of a comparison is drawn.
    "rtrecon.imaging.field_match.comparison": ("matplotlib",),
    "rtrecon.imaging": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.metrics": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.session": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.sources": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.display": ("torch", "numba"),
}
# One Python imports the packages of a line in this order, as a start costs a second. A
# package must not find what another one before it may import.
ONE_PYTHON = (
    (
        "rtrecon.daemon",
        "rtrecon.imaging.field_match.comparison",
        "rtrecon.imaging",
        "rtrecon.metrics",
        "rtrecon.session",
        "rtrecon.sources",
    ),
    ("rtrecon.display",),
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
def forbidden_found(tmp_path_factory) -> dict[str, list[str]]:
    """What each package brings that it must not."""
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
    return found


def test_import_contracts_hold():
    root = Path(rtrecon.__file__).parents[1]
    assert (
        lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True) == 0
    )


def test_importing_starts_no_thread_and_writes_no_file(tmp_path: Path):
    assert find_forbidden({"all": (MODULES, ())}, tmp_path) == {"all": []}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_does_not_import_heavy_libraries(forbidden_found, package: str):
    assert forbidden_found[package] == []


def test_the_command_line_has_help():
    done = subprocess.run(
        [sys.executable, "-m", "rtrecon", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


def test_the_daemon_of_neurons_in_the_brain_imports_nothing_of_the_dish():
    code = (
        "import sys, rtrecon.daemon.daemon\n"
        "print([m for m in sys.modules if m.startswith('rtrecon.dish')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
