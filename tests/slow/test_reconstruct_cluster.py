"""Reconstruction on a cluster of two worker processes.

Run as a program it is that cluster: it reconstructs what `plan` says, and ends.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline import cluster
from rtrecon.inversion.offline.clips import select_segment
from rtrecon.inversion.offline.command import ReconstructionRequest, run_reconstruction
from tests.support import inversion_world as world

STEPS, SEEDS = 8, (0, 5)
NOBODY = "tcp://127.0.0.1:1"
NEEDED_S = 120.0  # far more than processes need to start, for a machine that is busy


def plan(folder: Path, session: Path) -> ReconstructionRequest:
    """Return a folder with a recorded session and two encoders of it."""
    encoders = [folder / f"{seed}.safetensors" for seed in SEEDS]
    return ReconstructionRequest(
        select_segment(session, 0, 1), folder / "here", encoders, "map", STEPS
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    for seed in SEEDS:
        world.save_encoder(tmp_path / f"{seed}.safetensors", seed)
    return tmp_path


@pytest.fixture
def session(tmp_path) -> Path:
    return world.record_clip(tmp_path / "recordings", world.make_clip(36))


def test_a_cluster_reconstructs_the_same_movie(folder, session):
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    command = [sys.executable, __file__, str(folder), str(session)]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=NEEDED_S, check=False
    )
    assert done.returncode == 0, done.stderr
    refused, *notices = done.stdout.splitlines()
    assert refused.startswith(f"no Dask scheduler answers at {NOBODY}")
    assert notices == [
        "cluster 0.0 2 movies to reconstruct",
        "cluster 0.5 1 of 2 movies reconstructed",
        "cluster 1.0 2 of 2 movies reconstructed",
        f"{len(SEEDS) * STEPS} passes",
    ]
    here = run_reconstruction(plan(folder, session)).movie
    there = np.load(folder / "there" / "movie.npy", allow_pickle=False)
    np.testing.assert_allclose(there, here, atol=1e-3)


def test_without_dask_the_error_says_what_to_install(folder, session, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    given = replace(plan(folder, session), scheduler="tcp://127.0.0.1:1")
    with pytest.raises(UserError, match=r"pip install rtrecon\[cluster\]"):
        run_reconstruction(given)


@pytest.mark.parametrize("address", ["nonsense", "http://host:1", "tcp://host", ""])
def test_a_wrong_address_is_refused_at_once(folder, session, address):
    given = replace(plan(folder, session), scheduler=address)
    with pytest.raises(UserError, match="give one like tcp://host:8786"):
        run_reconstruction(given)


def main() -> None:
    from distributed import LocalCluster

    folder, session = map(Path, sys.argv[1:])
    cluster._CONNECT_S = 1.0
    try:
        run_reconstruction(replace(plan(folder, session), scheduler=NOBODY))
    except UserError as error:
        print(error)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as dask:
        given = replace(
            plan(folder, session),
            output_folder=folder / "there",
            scheduler=dask.scheduler_address,
        )
        made = run_reconstruction(given, lambda *report: print(*report))
        print(made.figures["passes"], "passes")


if __name__ == "__main__":
    main()
