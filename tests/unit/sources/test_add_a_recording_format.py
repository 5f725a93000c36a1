"""The worked example in docs/how-to/add-a-recording-format.md runs as it is written."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from rtrecon.detection.plane_movie import open_plane_movie
from rtrecon.sources import RecordingError, RecordingHints, open_recording, registry
from rtrecon.testing.scanimage_file import make_pages
from tests.support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "add-a-recording-format.md"
RATE = RecordingHints(rate_hz=20.0)


@pytest.fixture
def numpy_format(tmp_path, monkeypatch):
    """Write the page's reader to a module and put the page's entry in the registry."""
    reader, entry = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    (tmp_path / "numpy_movie.py").write_text(reader)
    monkeypatch.syspath_prepend(tmp_path)
    entry = entry.replace("rtrecon.sources.numpy_movie", "numpy_movie")
    new = eval(entry, {"RecordingFormat": registry.RecordingFormat})
    monkeypatch.setattr(registry, "FORMATS", (*registry.FORMATS, new))
    yield
    sys.modules.pop("numpy_movie", None)


@pytest.fixture
def movie(tmp_path):
    pixels = make_pages(5)
    np.save(tmp_path / "movie.npy", pixels)
    return tmp_path / "movie.npy", pixels


@pytest.mark.usefixtures("numpy_format")
def test_the_new_format_is_opened_by_its_path(movie):
    path, pixels = movie
    with open_recording(path, RATE) as recording:
        assert (recording.shape, recording.n_frames) == ((12, 16), 5)
        frames = list(recording.frames())
    assert np.array_equal([frame.pixels for frame in frames], pixels)
    assert [frame.t_s for frame in frames] == pytest.approx(np.arange(5) / 20.0)


@pytest.mark.usefixtures("numpy_format")
def test_the_detector_opens_the_new_format_too(movie):
    path, pixels = movie
    frames = list(open_plane_movie(path, RecordingHints()).frames())
    assert np.array_equal(frames, pixels)


@pytest.mark.usefixtures("numpy_format")
def test_errors_and_lists_of_formats_name_the_new_format(tmp_path, movie):
    path, _ = movie
    with pytest.raises(
        RecordingError, match=r"movie.npy cannot be opened: .*--rate-hz"
    ):
        open_recording(path)
    with pytest.raises(RecordingError, match=r"can be .* a NumPy array"):
        open_recording(tmp_path / "nothing")
    path.write_bytes(b"no array")
    with pytest.raises(RecordingError, match="it is not an array of numbers"):
        open_recording(path, RATE)
    assert "a NumPy array" in registry.render_format_table()
