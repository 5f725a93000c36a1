"""A device whose memory runs out: the same work again, in smaller parts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

_Found = TypeVar("_Found")


def say_nothing(_: str) -> None:
    """Listens to sentences that nobody asked for."""


def in_memory(
    work: Callable[[], _Found],
    ease: Callable[[], str],
    say: Callable[[str], object] = say_nothing,
) -> _Found:
    """Do a work; ease it as often as the device's memory runs out, and try again.

    ease: makes it need less and says so in a sentence, which `say` is told; UserError
    where it cannot.
    """
    while True:
        # Tried again only outside: an error holds on to all that filled the memory.
        with suppress(torch.OutOfMemoryError):
            return work()
        torch.cuda.empty_cache()
        say(ease())
