"""Where training happens: a device, a precision, and processes that share the work.

`torchrun` starts the same command several times and numbers the processes. Each of them
reads the same data and holds the same weights; each takes its share of every batch, and
their gradients are added up. The first, the leader, also judges, keeps and tells.
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
_PATIENCE = timedelta(hours=12)  # for the leader, who also looks for receptive fields
_SAID = "rtrecon said"  # how many processes have something to say of an end


@dataclass(frozen=True)
class Place:
    """Device and precision of a process, and which of `size` processes it is."""

    device: torch.device = _CPU
    precision: torch.dtype = torch.float32
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process judges, keeps and tells."""
        return self.rank == 0

    def __str__(self) -> str:
        word = f"{self.device.type}, {str(self.precision).removeprefix('torch.')}"
        return f"{word}, {self.size} processes" if self.size > 1 else word

    def autocast(self) -> torch.autocast:
        """Return the context in which an encoder answers in this precision."""
        half = self.precision is torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Add up what all processes have, in place; on the device."""
        self._together(dist.all_reduce, tensors)

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give everybody what the leader has, in place; on the device."""
        self._together(partial(dist.broadcast, src=0), tensors)

    def told(self, number: Callable[[], float]) -> float:
        """Return a number that the leader finds out while the others wait."""
        if self.size == 1:
            return number()
        found = number() if self.leads else 0.0
        told = torch.tensor([found], dtype=torch.float64, device=self.device)
        self.spread([told])
        return float(told)

    def wait(self) -> None:
        """Wait for the leader to come here, too."""
        self.told(lambda: 0.0)

    def _together(
        self, act: Callable[[Tensor], object], tensors: Iterable[Tensor]
    ) -> None:
        if self.size == 1:
            return
        try:
            for tensor in tensors:
                act(tensor)
        except RuntimeError as error:
            raise UserError(
                f"training is over, for another of its processes has ended ({error}); "
                "start it again with --resume"
            ) from None


ALONE = Place()


def place(device: Device, precision: Precision, gpu: int = 0) -> Place:
    """Return the place of a process that trains alone; UserError if it is not there.

    auto: a GPU where there is one, and there bfloat16 where it is made for it. gpu: its
    number on this machine.
    """
    found = _device(device, gpu)
    return Place(found, _precision(precision, found))


@contextmanager
def join(device: Device, precision: Precision) -> Iterator[Place]:
    """Take one's place, beside others where `torchrun` has started several.

    A UserError within ends all of them, and is raised by the one that met it first.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield place(device, precision)
        return
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
    try:
        own = place(device, precision, int(os.environ["LOCAL_RANK"]))
        if own.device.type == "cuda":
            torch.cuda.set_device(own.device)
        dist.init_process_group(
            _backend(own.device),
            store=store,
            rank=rank,
            world_size=size,
            timeout=_PATIENCE,
        )
        yield Place(own.device, own.precision, rank, size)
        dist.destroy_process_group()
    except UserError:
        if not _first(store.add):
            raise SystemExit(2) from None  # somebody else has said why
        raise


def _first(count: Callable[[str, int], int]) -> bool:
    with suppress(RuntimeError):  # who counts may be gone already
        return count(_SAID, 1) == 1
    return True


def _backend(device: torch.device) -> str:
    return "nccl" if device.type == "cuda" and dist.is_nccl_available() else "gloo"


def _device(asked: Device, gpu: int) -> torch.device:
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "cpu" or (asked == "auto" and not n_gpus):
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


def _precision(asked: Precision, device: torch.device) -> torch.dtype:
    if asked == "auto":
        made_for = device.type == "cuda" and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        return torch.bfloat16 if made_for else torch.float32
    return torch.bfloat16 if asked == "bfloat16" else torch.float32
