"""Compact encoders are inverted with one thread, and only while they are."""

from __future__ import annotations

import torch

from rtrecon.inversion.device import limit_threads
from tests.support import inversion_world


def test_a_compact_encoder_gets_one_thread_for_a_while():
    encoder = inversion_world.make_checkpoint(20).encoder
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with limit_threads(encoder):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
