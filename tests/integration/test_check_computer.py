"""`rtrecon check --computer` measures what a computer holds, without settings."""

from __future__ import annotations

import re

import torch

from rtrecon.diagnostics import speed_table
from tests.support.command_line import run_here


def test_a_computer_is_measured_without_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed_table.measure_speeds, "__defaults__", ((20, 200),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = run_here("check", "--computer")
    assert (done.returncode, done.stderr) == (0, "")
    output = " ".join(done.stdout.split())
    assert " cores, " in output
    assert "torch: version " in output
    assert re.search(r"disk: \d+ MB per second written here", output)
    found = re.findall(
        r"(\d+) neurons: the daemon sustains (\d+) frames .*? (\d+) steps per hop",
        output,
    )
    assert [int(n) for n, _, _ in found] == [20, 200]
    assert all(int(frames) > 0 and int(steps) > 0 for _, frames, steps in found)


def test_check_without_anything_to_check_says_what_to_give():
    done = run_here("check")
    assert done.returncode == 2
    assert "or --computer" in " ".join(done.stderr.split())
