"""One target, one process, so many inputs: guided by coverage where atheris is there.

    python benchmarks/fuzz/worker.py TARGET RUNS SEED FOLDER

An input that fails is kept in the folder; the exit status is then not 0. Without
atheris (Linux only) inputs are made in the same way from the seeds, without guidance.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from random import Random

FOUND = "crash-"  # how files of failing inputs begin, as atheris names them


def main() -> None:
    name, runs, seed, folder = sys.argv[1:]
    try:
        import atheris
    except ImportError:
        sys.exit(unguided(name, int(runs), int(seed), Path(folder)))
    guided(atheris, name, [f"-runs={runs}", f"-seed={seed}"], Path(folder))


def guided(atheris, name: str, options: list[str], folder: Path) -> None:
    """Fuzz by atheris, which ends the process."""
    with atheris.instrument_imports(include=["rtrecon"], enable_loader_override=False):
        from mutate import MAX_BYTES, mutated
        from targets import TARGETS

    target, seeds = TARGETS[name]
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(seeds):
        (corpus / f"seed{i}").write_bytes(data)

    def mutator(data: bytes, max_bytes: int, seed: int) -> bytes:
        return mutated(bytes(data), seeds, Random(seed))[:max_bytes]

    options += [f"-max_len={MAX_BYTES}", f"-artifact_prefix={folder}/", str(corpus)]
    command = [sys.argv[0], "-timeout=10", "-rss_limit_mb=4096", *options]
    atheris.Setup(command, target, custom_mutator=mutator)
    atheris.Fuzz()


def unguided(name: str, runs: int, seed: int, folder: Path) -> int:
    """Return how many of the inputs failed; each is kept."""
    from mutate import mutated
    from targets import TARGETS

    target, seeds = TARGETS[name]
    rng, failed = Random(seed), 0
    for i in range(runs):
        data = mutated(rng.choice(seeds), seeds, rng)
        try:
            target(data)
        except Exception:
            failed += 1
            (folder / f"{FOUND}{name}-{seed}-{i}").write_bytes(data)
            traceback.print_exc()
    return min(failed, 100)


if __name__ == "__main__":
    main()
