"""Fuzzing of everything that takes bytes from outside; a short form of the long run."""

from __future__ import annotations

import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrecon.protocol import messages
from tests.support.paths import BENCHMARKS

FUZZ = BENCHMARKS / "fuzz"
N_KINDS = {"published": len(messages.TOPICS)}  # of messages, of which each is a seed
TARGETS = ("headers", "session", "published", "stream", "requests")


@pytest.fixture(scope="module")
def fuzz():
    """The modules of `benchmarks/fuzz`."""
    sys.path.insert(0, str(FUZZ))
    import mutate
    import run
    import targets
    import worker

    yield {"mutate": mutate, "run": run, "targets": targets, "worker": worker}
    sys.path.remove(str(FUZZ))


@pytest.mark.parametrize("name", TARGETS)
def test_targets_accept_valid_messages(fuzz, name):
    target, seeds = fuzz["targets"].TARGETS[name]
    assert len(seeds) >= N_KINDS.get(name, 5)
    for data in seeds:
        target(data)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_messages_raise_no_unexpected_error(fuzz, name):
    target, seeds = fuzz["targets"].TARGETS[name]

    @settings(deadline=None, max_examples=60)
    @given(st.sampled_from(seeds), st.integers(0, 2**32))
    def check_mutated(data: bytes, seed: int) -> None:
        target(fuzz["mutate"].mutate_bytes(data, seeds, Random(seed)))

    check_mutated()


@pytest.mark.parametrize("name", TARGETS)
def test_random_bytes_raise_no_unexpected_error(fuzz, name):
    target, _ = fuzz["targets"].TARGETS[name]

    @settings(deadline=None, max_examples=40)
    @given(st.binary(max_size=300))
    def check_random(data: bytes) -> None:
        target(data)

    check_random()


def test_mutations_are_diverse_and_reach_every_kind_of_error(fuzz):
    """Otherwise a long run would prove nothing."""
    _, seeds = fuzz["targets"].TARGETS["headers"]
    mutate, rng = fuzz["mutate"].mutate_bytes, Random(0)
    mutated = [mutate(rng.choice(seeds), seeds, rng) for _ in range(16000)]
    reasons, n_accepted = set(), 0
    for data in mutated:
        header, _, payload = data.partition(fuzz["targets"].PART_SEPARATOR)
        try:
            messages.decode_incoming([header, payload])
            n_accepted += 1
        except messages.WireError as error:
            reasons.add(str(error).split(" - ")[0][:60])
    assert len(set(mutated)) > 0.95 * len(mutated)
    assert 400 < n_accepted < 15600
    text = "\n".join(reasons)
    for words in ("does not parse", "that is not positive", "payload", "expected none"):
        assert words in text
    assert len(reasons) > 20


def test_an_input_that_fails_is_written_to_the_folder(fuzz, tmp_path, monkeypatch):
    def fail_on_null(data: bytes) -> None:
        assert b"null" not in data

    seeds = [b'{"seq": 1}']
    targets, worker = fuzz["targets"].TARGETS, fuzz["worker"]
    monkeypatch.setitem(targets, "failing", (fail_on_null, seeds))
    n_failed = worker.fuzz_unguided("failing", 2000, 1, tmp_path)
    files = list(tmp_path.glob(f"{worker.CRASH_PREFIX}*"))
    assert n_failed == min(100, len(files)) > 0
    assert all(b"null" in path.read_bytes() for path in files)


def test_the_long_run_has_a_share_for_every_target(fuzz):
    assert set(fuzz["targets"].TARGETS) == set(fuzz["run"].SHARES)
