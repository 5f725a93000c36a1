"""Device, precision and processes of a training run.

`torchrun` starts the same command several times and gives each process a rank. All
read the same data and hold the same weights; each computes its share of every batch,
and gradients are summed. Rank 0, the main process, also validates, saves and reports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch import distributed as dist

from rtrecon.core.errors import UserError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]

_CPU = torch.device("cpu")
_TIMEOUT = timedelta(hours=12)  # the others wait while rank 0 finds receptive fields
_ERROR_COUNT_KEY = "rtrecon errors"  # counts the processes that met a UserError


@dataclass(frozen=True)
class DistributedContext:
    """Device and precision of a process, and its rank among `world_size` processes."""

    device: torch.device = _CPU
    precision: torch.dtype = torch.float32
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that validates, saves and reports."""
        return self.rank == 0

    def __str__(self) -> str:
        text = f"{self.device.type}, {str(self.precision).removeprefix('torch.')}"
        return f"{text}, {self.world_size} processes" if self.world_size > 1 else text

    def autocast(self) -> torch.autocast:
        """Return the context in which an encoder predicts in this precision."""
        is_half = self.precision is torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=is_half)

    def all_reduce(self, tensors: Iterable[Tensor]) -> None:
        """Sum tensors over all processes, in place; on the device."""
        self._run_collective(dist.all_reduce, tensors)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy the tensors of rank 0 to all processes, in place; on the device."""
        self._run_collective(partial(dist.broadcast, src=0), tensors)

    def broadcast_scalar(self, compute: Callable[[], float]) -> float:
        """Return a number that rank 0 computes while the others wait."""
        if self.world_size == 1:
            return compute()
        value = compute() if self.is_main else 0.0
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        self.broadcast([shared])
        return float(shared)

    def barrier(self) -> None:
        """Wait until rank 0 gets here, too."""
        self.broadcast_scalar(lambda: 0.0)

    def _run_collective(
        self, operation: Callable[[Tensor], object], tensors: Iterable[Tensor]
    ) -> None:
        if self.world_size == 1:
            return
        try:
            for tensor in tensors:
                operation(tensor)
        except RuntimeError as error:
            raise UserError(
                f"training aborted: another process exited ({error}); start it again "
                "with --resume"
            ) from None


SINGLE_PROCESS = DistributedContext()


def make_context(
    device: Device, precision: Precision, gpu: int = 0
) -> DistributedContext:
    """Return the context of a single process; UserError if the device is missing.

    auto: a GPU if there is one, with bfloat16 if it supports that. gpu: its number on
    this machine.
    """
    chosen = _choose_device(device, gpu)
    return DistributedContext(chosen, _choose_precision(precision, chosen))


@contextmanager
def join_process_group(
    device: Device, precision: Precision
) -> Iterator[DistributedContext]:
    """Join the processes that `torchrun` started, or run as a single one without it.

    A UserError inside ends all processes; only the one that met it first raises it.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield make_context(device, precision)
        return
    from torch.distributed.rendezvous import rendezvous

    store, rank, world_size = next(rendezvous("env://", timeout=_TIMEOUT))
    try:
        context = make_context(device, precision, int(os.environ["LOCAL_RANK"]))
        if context.device.type == "cuda":
            torch.cuda.set_device(context.device)
        dist.init_process_group(
            _choose_backend(context.device),
            store=store,
            rank=rank,
            world_size=world_size,
            timeout=_TIMEOUT,
        )
        yield DistributedContext(context.device, context.precision, rank, world_size)
        dist.destroy_process_group()
    except UserError:
        if not _is_first_error(store.add):
            raise SystemExit(2) from None  # another process reports the reason
        raise


def _is_first_error(count: Callable[[str, int], int]) -> bool:
    with suppress(RuntimeError):  # the process that holds the counter may be gone
        return count(_ERROR_COUNT_KEY, 1) == 1
    return True


def _choose_backend(device: torch.device) -> str:
    return "nccl" if device.type == "cuda" and dist.is_nccl_available() else "gloo"


def _choose_device(requested: Device, gpu: int) -> torch.device:
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested == "cpu" or (requested == "auto" and not n_gpus):
        return _CPU
    if not n_gpus:
        raise UserError(
            f"device = cuda, but torch {torch.__version__} finds no CUDA GPU; train "
            "with --device cpu, or install a driver and a torch for CUDA"
        )
    if gpu >= n_gpus:
        raise UserError(
            f"process {gpu + 1} of this machine finds only {n_gpus} GPUs; start as "
            "many processes as there are GPUs, or train with --device cpu"
        )
    return torch.device("cuda", gpu)


def _choose_precision(requested: Precision, device: torch.device) -> torch.dtype:
    if requested == "auto":
        has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return torch.bfloat16 if requested == "bfloat16" else torch.float32
