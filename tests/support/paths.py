"""Where tests find the files of the project, and recordings that are not part of it."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
BRIDGE = REPOSITORY / "bridge"
CONFIGS = REPOSITORY / "configs"
BENCHMARKS = REPOSITORY / "benchmarks"

# Real recordings: docs/test-data.md lists them and their public sources.
# A test that needs one skips, with a reason, where it is missing.
TEST_DATA = Path(
    os.environ.get("RTRECON_TEST_DATA", REPOSITORY.parent / "shared" / "data")
)
