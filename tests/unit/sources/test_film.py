"""Films of cultures: gray or color, of 8 bits; the interval is asked for."""

from __future__ import annotations

import av
import numpy as np
import pytest

from rtrecon.sources import RecordingError, RecordingHints, open_recording

SHAPE, N_IMAGES = (32, 48), 6
HINTS = RecordingHints(rate_hz=1 / 600, um_per_px=0.65)


def write_film(path, color=None):
    """Write a film that gets brighter from image to image."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SHAPE, "yuv420p"
        stream.bit_rate = 4_000_000
        for k in range(N_IMAGES):
            image = np.full((*SHAPE, 3), 40 + 20 * k, np.uint8)
            if color is not None:
                image[..., [c for c in range(3) if c != color]] = 0
            film.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        film.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv"])
def test_a_gray_film_is_read_as_uint16_with_the_interval_of_the_dish(tmp_path, suffix):
    with open_recording(write_film(tmp_path / f"a.{suffix}"), HINTS) as recording:
        frames = list(recording.frames())
    assert (recording.shape, recording.dtype) == (SHAPE, np.uint16)
    assert recording.um_per_px == 0.65
    assert "stored in color; one color is read" in recording.notice
    assert "such as a clock or a scale bar" in recording.notice
    assert [f.t_s for f in frames] == pytest.approx([600.0 * k for k in range(6)])
    values = [float(f.pixels.mean()) for f in frames]
    assert values == pytest.approx([40 + 20 * k for k in range(6)], abs=4)


def test_a_film_in_green_is_read_as_the_sum_of_its_colors(tmp_path):
    with open_recording(write_film(tmp_path / "a.mp4", color=1), HINTS) as recording:
        frames = list(recording.frames())
    assert "gray is the sum of red, green and blue" in recording.notice
    values = [float(f.pixels.mean()) for f in frames]
    assert np.all(np.diff(values) > 10)


def test_a_film_without_an_interval_is_refused_with_the_option_that_gives_it(tmp_path):
    path = write_film(tmp_path / "a.mp4")
    with pytest.raises(RecordingError, match="give it with --interval-s"):
        open_recording(path)
    (tmp_path / "b.mp4").write_bytes(b"no film")
    with pytest.raises(RecordingError, match="cannot be read as video"):
        open_recording(tmp_path / "b.mp4", HINTS)
