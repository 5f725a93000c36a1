"""Runs reconstruction jobs on a Dask cluster, one task per job.

Dask pickles Python objects in both directions, so a scheduler can run code on this
machine: give only the address of a cluster that you trust. The movies are not sent
through Dask; the workers write them to a folder that this machine can read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.inversion.offline.jobs import ReconstructionJob, run_job

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = 10.0
_ADDRESS = re.compile(r"(tcp|tls)://.+:\d+")


def run_on_cluster(
    jobs: Sequence[ReconstructionJob], scheduler: str, on_progress: ProgressCallback
) -> None:
    """Run all jobs on the cluster at an address like 'tcp://host:8786'.

    Raises UserError if dask.distributed is not installed, no scheduler answers, or the
    workers do not share the output folder.
    """
    if not _ADDRESS.fullmatch(scheduler):  # Dask waits for ever on some others
        raise UserError(
            f"scheduler {scheduler} is not an address; give one like tcp://host:8786"
        )
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UserError(
            "--scheduler needs dask.distributed; install it with "
            "`pip install rtrecon[cluster]`, or leave it out to work on this machine"
        ) from None
    with _connect(Client, scheduler) as client:
        tasks = [client.submit(run_job, job, pure=False) for job in jobs]
        on_progress("cluster", 0.0, f"{len(tasks)} movies to reconstruct")
        for done, task in enumerate(tasks, start=1):
            try:
                task.result()
            except (KilledWorker, CancelledError) as error:
                raise UserError(
                    f"the cluster stopped a job ({error}); check its workers' memory "
                    "and time limits, then run this again: finished movies are reused"
                ) from None
            on_progress(
                "cluster",
                done / len(tasks),
                f"{done} of {len(tasks)} movies reconstructed",
            )
    for job in jobs:
        if not job.file.is_file():
            raise UserError(
                f"the cluster finished {job.file.name}, but this machine does not see "
                f"it in {job.file.parent}; give an output folder that it shares with "
                "the workers"
            )


def _connect(client_class: type[Client], scheduler: str) -> Client:
    try:
        return client_class(scheduler, timeout=_CONNECT_S)
    except OSError as error:
        raise UserError(
            f"no Dask scheduler answers at {scheduler} ({error}); start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS`"
        ) from None
