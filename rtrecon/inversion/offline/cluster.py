"""Jobs on a Dask cluster, one task each.

Dask sends Python objects both ways, so a scheduler is as trusted as a colleague with a
login: give the address of a cluster of your own. Movies do not travel that way: its
workers write them where this machine can read them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline.jobs import Job, do
from rtrecon.inversion.offline.target import Report

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = 10.0
_ADDRESS = re.compile(r"(tcp|tls)://.+:\d+")


def do_on_cluster(jobs: Sequence[Job], scheduler: str, report: Report) -> None:
    """Do all jobs on the cluster at an address like 'tcp://host:8786'.

    Raises UserError where dask.distributed is not installed, nobody answers, or the
    workers see other folders.
    """
    if not _ADDRESS.fullmatch(scheduler):  # Dask would wait for some of them for ever
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
    with _connected(Client, scheduler) as client:
        tasks = [client.submit(do, job, pure=False) for job in jobs]
        report("cluster", 0.0, f"{len(tasks)} movies to make")
        for done, task in enumerate(tasks, start=1):
            try:
                task.result()
            except (KilledWorker, CancelledError) as error:
                raise UserError(
                    f"the cluster gave up ({error}); see to its workers' memory and "
                    "time, then run this again: what was made is kept"
                ) from None
            report("cluster", done / len(tasks), f"{done} of {len(tasks)} movies made")
    for job in jobs:
        if not job.file.is_file():
            raise UserError(
                f"the cluster made {job.file.name}, but not in {job.file.parent} as "
                "seen from here; give a folder that this machine and the workers share"
            )


def _connected(kind: type[Client], scheduler: str) -> Client:
    try:
        return kind(scheduler, timeout=_CONNECT_S)
    except OSError as error:
        raise UserError(
            f"no Dask scheduler answers at {scheduler} ({error}); start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS`"
        ) from None
