"""Fixtures of the tests that run the MATLAB bridge in GNU Octave."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from rtrecon.testing.daemon_process import make_settings
from tests.support.octave import (
    ScanImageScript,
    read_real_acquisition,
    require_octave,
)

HEADERS = Path("scanimage") / "scanimage2021_headers.json.gz"


@pytest.fixture(scope="module")
def acquisition(shared_data):
    """Settings of a real LOOP acquisition, and its frames' numbers and times."""
    require_octave()
    return read_real_acquisition(shared_data / HEADERS)


@pytest.fixture
def network(tmp_path):
    """Network settings of the daemon that the senders of a test look for."""
    return make_settings(tmp_path).network


@pytest.fixture
def script(tmp_path, acquisition, network):
    """A ScanImage script with real settings, which sends by framed TCP."""
    settings = copy.deepcopy(acquisition[0])  # tests change them
    return ScanImageScript(tmp_path, settings, arguments=["address", network.tcp])
