"""The long fuzzing run, with few inputs: one process per target."""

from __future__ import annotations

import sys

from tests.support.paths import BENCHMARKS


def test_the_long_run_counts_inputs_and_crashes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "fuzz"))
    import run

    assert "run" in sys.modules
    result = run.run_fuzzing(110, tmp_path)
    assert (result["fuzz_inputs"], result["fuzz_crashes"]) == (110, 0), result
    assert result["fuzz_inputs_per_s"] > 0
