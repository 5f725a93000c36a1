"""Runs one fuzz target in one process; guided by coverage if atheris is installed.

    python benchmarks/fuzz/worker.py TARGET RUNS SEED FOLDER

Inputs that fail are written to the folder; the exit status is then not 0. Without
atheris (Linux only), inputs are mutated seeds, without guidance.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from random import Random
from types import ModuleType

CRASH_PREFIX = "crash-"  # begins the names of files with failing inputs, as in atheris


def main() -> None:
    name, runs, seed, folder = sys.argv[1:]
    try:
        import atheris
    except ImportError:
        sys.exit(fuzz_unguided(name, int(runs), int(seed), Path(folder)))
    fuzz_guided(atheris, name, [f"-runs={runs}", f"-seed={seed}"], Path(folder))


def fuzz_guided(
    atheris: ModuleType, name: str, options: list[str], folder: Path
) -> None:
    """Fuzz with atheris, which ends the process."""
    with atheris.instrument_imports(include=["rtrecon"], enable_loader_override=False):
        from mutate import MAX_BYTES, mutate_bytes
        from targets import TARGETS

    target, seeds = TARGETS[name]
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(seeds):
        (corpus / f"seed{i}").write_bytes(data)

    def mutator(data: bytes, max_bytes: int, seed: int) -> bytes:
        return mutate_bytes(bytes(data), seeds, Random(seed))[:max_bytes]

    options += [f"-max_len={MAX_BYTES}", f"-artifact_prefix={folder}/", str(corpus)]
    command = [sys.argv[0], "-timeout=10", "-rss_limit_mb=4096", *options]
    atheris.Setup(command, target, custom_mutator=mutator)
    atheris.Fuzz()


def fuzz_unguided(name: str, runs: int, seed: int, folder: Path) -> int:
    """Fuzz with mutated seeds; return how many inputs failed (at most 100)."""
    from mutate import mutate_bytes
    from targets import TARGETS

    target, seeds = TARGETS[name]
    rng, failed = Random(seed), 0
    for i in range(runs):
        data = mutate_bytes(rng.choice(seeds), seeds, rng)
        try:
            target(data)
        except Exception:
            failed += 1
            (folder / f"{CRASH_PREFIX}{name}-{seed}-{i}").write_bytes(data)
            traceback.print_exc()
    return min(failed, 100)


if __name__ == "__main__":
    main()
