"""What no single module can promise: who imports whom, and nothing at import."""

from __future__ import annotations

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
    "rtrecon.display": ("torch", "numba"),
    "rtrecon.imaging": ("torch", "PySide6", "pyqtgraph"),
    # Only the picture of a comparison is drawn.
    "rtrecon.imaging.field_match.comparison": ("matplotlib",),
    # Slow to import: a daemon that is started again is soon there.
    "rtrecon.daemon": ("torch", "PySide6", "scipy.stats", "av", "matplotlib"),
    "rtrecon.metrics": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.session": ("torch", "PySide6", "pyqtgraph"),
    "rtrecon.sources": ("torch", "PySide6", "pyqtgraph"),
}

IMPORT_AND_REPORT = """
import importlib, sys, threading
for name in sys.argv[1].split():
    importlib.import_module(name)
threads = [thread.name for thread in threading.enumerate()][1:]
found = [name for name in sys.argv[2].split() if name in sys.modules]
print(*threads, *found)
"""


def imported(modules: list[str], forbidden: tuple[str, ...], folder: Path) -> str:
    """Import modules in a fresh Python; returns what should not have come with them."""
    command = [sys.executable, "-W", "error", "-c", IMPORT_AND_REPORT]
    done = subprocess.run(
        [*command, " ".join(modules), " ".join(forbidden)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_contracts_hold():
    root = Path(rtrecon.__file__).parents[1]
    assert (
        lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True) == 0
    )


def test_importing_starts_no_thread_and_writes_no_file(tmp_path: Path):
    assert imported(MODULES, (), tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_does_not_import_heavy_libraries(package: str, tmp_path: Path):
    modules = [name for name in MODULES if name.startswith(package)]
    assert imported(modules, FORBIDDEN[package], tmp_path) == ""


def test_the_command_line_has_help():
    done = subprocess.run(
        [sys.executable, "-m", "rtrecon", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout
