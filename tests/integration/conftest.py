"""The fixtures of tests with real processes: see `tests/support/daemon_fixtures.py`."""

from tests.support.daemon_fixtures import (  # noqa: F401
    _every_frame_is_accounted_for,
    short_preparation,
    small_daemon,
)
