"""Videos: clips read as the encoder sees them, movies written and read back."""

from __future__ import annotations

from itertools import pairwise

import av
import numpy as np
import pytest

from rtrecon.sources.video import VideoError, read_clip, write_movie
from tests.support.paths import TEST_DATA

DATA = TEST_DATA / "video"
# clip -> (seconds, rate of the file in Hz)
CLIPS = {
    "bikes.mp4": (10.0, 25.0),
    "carphone_pristine.mp4": (4.004, 29.97),
    "nasa_13013.mp4": (13.0, 25.0),
    "realshort.mp4": (1.1992, 30.02),
}


def make_ramp(n=12, shape=(36, 64)):
    """Make grey frames, each 20 brighter than the last, with a bright left half."""
    frames = np.empty((n, *shape), np.uint8)
    frames[:] = (20 * np.arange(n))[:, None, None]
    frames[:, :, : shape[1] // 2] += 15
    return frames


@pytest.mark.parametrize("scale", [1, 4])
def test_a_written_movie_is_read_back(tmp_path, scale):
    frames = make_ramp()
    write_movie(tmp_path / "m.mp4", frames, rate_hz=30.0, scale=scale)
    found = read_clip(tmp_path / "m.mp4")
    assert (found.shape, found.dtype) == (frames.shape, np.uint8)
    # H.264 is lossy: values differ slightly, positions do not.
    error = np.abs(found.astype(int) - frames)
    assert error.mean() < 1.5
    assert error.max() < 12


@pytest.mark.parametrize(("shape", "scale"), [((5, 7), 3), ((5, 7), 1), ((36, 64), 8)])
def test_pixels_become_square_blocks_and_sides_even(tmp_path, shape, scale):
    frames = np.zeros((3, *shape), np.uint8)
    frames[:, 1, 2] = 255
    write_movie(tmp_path / "m.mp4", frames, scale=scale)
    with av.open(str(tmp_path / "m.mp4")) as movie:
        stream = movie.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 30)
        assert stream.pix_fmt == "yuv420p"
        image = next(movie.decode(video=0)).to_ndarray(format="gray")
    even = tuple(side * scale + side * scale % 2 for side in shape)
    assert image.shape == even
    block = image[scale : 2 * scale, 2 * scale : 3 * scale]
    assert block.min() > 150 if scale > 1 else block.max() > 100


@pytest.mark.parametrize("rate_hz", [10.0, 30.0, 59.94])
def test_another_rate_repeats_or_omits_images_and_never_blends(tmp_path, rate_hz):
    frames = make_ramp(12)
    write_movie(tmp_path / "m.mp4", frames, rate_hz=20.0, scale=4)
    found = read_clip(tmp_path / "m.mp4", rate_hz=rate_hz)
    assert len(found) == round(12 / 20.0 * rate_hz)
    grey = found[:, 8:28, 40:60].mean(axis=(1, 2))
    source = np.rint(np.arange(len(found)) / rate_hz * 20.0 - 1e-9).clip(max=11)
    shown = np.rint(grey / 20)
    assert np.abs(grey - 20 * shown).max() < 5  # one image's grey, not a mixture
    assert np.abs(shown - source).max() <= 0.5 + 1e-6


def test_a_clip_is_cropped_around_its_center_to_the_aspect_ratio(tmp_path):
    # 4:3, with bars above and below that a crop to 16:9 removes.
    frames = np.full((4, 96, 128), 200, np.uint8)
    frames[:, :12] = frames[:, -12:] = 0
    write_movie(tmp_path / "m.mp4", frames, scale=2)
    found = read_clip(tmp_path / "m.mp4")
    assert found[:, 2:-2].min() > 180
    whole = read_clip(tmp_path / "m.mp4", shape=(96, 128))
    assert whole[:, :10].max() < 20


def test_reading_stops_at_max_s(tmp_path):
    write_movie(tmp_path / "m.mp4", make_ramp(12), rate_hz=20.0)
    assert len(read_clip(tmp_path / "m.mp4", rate_hz=20.0, max_s=0.25)) == 5


def test_files_that_are_not_videos_are_refused(tmp_path):
    path = tmp_path / "m.mp4"
    with pytest.raises(VideoError, match="does not exist"):
        read_clip(path)
    path.write_bytes(b"moving pictures, I promise" * 10)
    with pytest.raises(VideoError, match="cannot be read as video"):
        read_clip(path)


def test_a_sound_file_is_refused(tmp_path):
    with av.open(str(tmp_path / "s.wav"), "w") as sound:
        stream = sound.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 800), np.int16), "s16", "mono"
        )
        silence.sample_rate = 8000
        sound.mux(stream.encode(silence))
    with pytest.raises(VideoError, match="is it a sound file"):
        read_clip(tmp_path / "s.wav")


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 36, 64)),
        np.zeros((36, 64), np.uint8),
        np.zeros((0, 36, 64), np.uint8),
    ],
)
def test_arrays_that_are_not_movies_are_refused(tmp_path, frames):
    with pytest.raises(VideoError, match=r"cannot write .* frames of shape"):
        write_movie(tmp_path / "m.mp4", frames)


def test_writing_to_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(VideoError, match="cannot write the movie"):
        write_movie(tmp_path / "nowhere" / "m.mp4", make_ramp(2))


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_have_the_size_and_rate_of_the_encoder(name):
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not here")
    seconds, file_hz = CLIPS[name]
    clip = read_clip(DATA / name, max_s=2.0)
    assert clip.shape == (round(min(seconds, 2.0) * 30), 36, 64)
    assert clip.std() > 15
    # At 30 Hz a clip of 25 Hz repeats every fifth image; one of 30 Hz does not.
    repeats = np.mean([np.array_equal(a, b) for a, b in pairwise(clip)])
    assert repeats == pytest.approx(max(0.0, 1 - file_hz / 30), abs=0.06)
