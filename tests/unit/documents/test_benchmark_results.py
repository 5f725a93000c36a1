"""Files of benchmark results: quick runs and parts."""

from __future__ import annotations

import importlib
import json

import pytest

from tests.support.paths import BENCHMARKS

FULL, QUICK = {"r": 0.7, "seconds": 120}, {"r": 0.1, "seconds": 5}


@pytest.fixture
def result_files(tmp_path, monkeypatch):
    """The module of that name, which writes into an empty folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("result_files")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    return module


@pytest.mark.parametrize("name", ["write_results", "update_results"])
def test_a_quick_run_never_replaces_full_results(result_files, name):
    write = getattr(result_files, name)
    full = write("loop", FULL, quick=False)
    quick = write("loop", QUICK, quick=True)
    assert (full.name, quick.name) == ("loop.json", "loop.quick.json")
    assert [json.loads(path.read_text()) for path in (full, quick)] == [FULL, QUICK]


def test_figures_of_parts_that_are_not_run_stay(result_files):
    result_files.update_results("bridge", {"lost": 0, "fps": 30}, quick=False)
    path = result_files.update_results("bridge", {"fps": 31}, quick=False)
    assert json.loads(path.read_text()) == {"lost": 0, "fps": 31}
