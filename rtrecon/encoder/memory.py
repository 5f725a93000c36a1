"""A device whose memory runs out: the same work again, in smaller parts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

from rtrecon.encoder.protocol import LiveEncoder

_Found = TypeVar("_Found")


def say_nothing(_: str) -> None:
    """Listens to sentences that nobody asked for."""


def in_memory(
    encoder: LiveEncoder,
    work: Callable[[], _Found],
    say: Callable[[str], object] = say_nothing,
) -> _Found:
    """Do a work of the encoder; ease it as often as the device's memory runs out.

    say: told of it each time. Raises UserError where memory is too little at last.
    """
    while True:
        # Tried again only outside: an error holds on to all that filled the memory.
        with suppress(torch.OutOfMemoryError):
            return work()
        torch.cuda.empty_cache()
        say(encoder.ease())
