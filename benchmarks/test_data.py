"""Where benchmarks find real recordings; docs/test-data.md lists them."""

from __future__ import annotations

import os
from pathlib import Path

TEST_DATA = Path(
    os.environ.get(
        "RTRECON_TEST_DATA", Path(__file__).parents[2].joinpath("shared", "data")
    )
)
