"""Whatever comes from outside: a moment of what `benchmarks/fuzz` does for minutes."""

from __future__ import annotations

import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrecon.protocol import messages
from tests.support.paths import BENCHMARKS

FUZZ = BENCHMARKS / "fuzz"
TARGETS = ("headers", "session", "published", "stream", "requests")


@pytest.fixture(scope="module")
def fuzz():
    """The modules of the long run."""
    sys.path.insert(0, str(FUZZ))
    import mutate
    import run
    import targets
    import worker

    yield {"mutate": mutate, "run": run, "targets": targets, "worker": worker}
    sys.path.remove(str(FUZZ))


@pytest.mark.parametrize("name", TARGETS)
def test_real_messages_pass(fuzz, name):
    target, seeds = fuzz["targets"].TARGETS[name]
    assert len(seeds) >= len(messages.TOPICS) - 1
    for data in seeds:
        target(data)


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_like_a_real_message_harms_nothing(fuzz, name):
    target, seeds = fuzz["targets"].TARGETS[name]

    @settings(deadline=None, max_examples=200)
    @given(st.sampled_from(seeds), st.integers(0, 2**32))
    def harms_nothing(data: bytes, seed: int) -> None:
        target(fuzz["mutate"].mutated(data, seeds, Random(seed)))

    harms_nothing()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_harm_nothing(fuzz, name):
    target, _ = fuzz["targets"].TARGETS[name]

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=300))
    def harms_nothing(data: bytes) -> None:
        target(data)

    harms_nothing()


def test_mutations_change_much_and_reach_every_kind_of_refusal(fuzz):
    """Else a long run would say nothing."""
    _, seeds = fuzz["targets"].TARGETS["headers"]
    rng, reasons, accepted = Random(0), set(), 0
    made = [fuzz["mutate"].mutated(rng.choice(seeds), seeds, rng) for _ in range(4000)]
    for data in made:
        header, _, payload = data.partition(fuzz["targets"].CUT)
        try:
            messages.decode([header, payload])
            accepted += 1
        except messages.WireError as error:
            reasons.add(str(error).split(" - ")[0][:60])
    assert len(set(made)) > 0.95 * len(made)
    assert 100 < accepted < 3900
    words = "\n".join(reasons)
    for kind in ("does not parse", "that is not positive", "payload", "expected none"):
        assert kind in words
    assert len(reasons) > 20


def test_a_bug_is_found_and_its_input_kept(fuzz, tmp_path, monkeypatch):
    def fragile(data: bytes) -> None:
        assert b"null" not in data

    seeds = [b'{"seq": 1}']
    monkeypatch.setitem(fuzz["targets"].TARGETS, "fragile", (fragile, seeds))
    failed = fuzz["worker"].unguided("fragile", 2000, 1, tmp_path)
    kept = list(tmp_path.glob(f"{fuzz['worker'].FOUND}*"))
    assert failed == min(100, len(kept)) > 0
    assert all(b"null" in path.read_bytes() for path in kept)


def test_the_long_run_counts_inputs_and_crashes(fuzz, tmp_path):
    found = fuzz["run"].fuzz(110, tmp_path)
    assert set(fuzz["targets"].TARGETS) == set(fuzz["run"].SHARES)
    assert (found["fuzz_inputs"], found["fuzz_crashes"]) == (110, 0), found
    assert found["fuzz_inputs_per_s"] > 0
