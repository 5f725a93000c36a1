"""WAV files and tables of whiskers: changes are reported, mistakes refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from rtrecon.core.errors import UserError
from rtrecon.sources.sound_file import read_sound, read_sound_levels, write_sound
from rtrecon.sources.stimulus_file import read_stimulus_file
from rtrecon.sources.touch_file import read_touch_levels, write_deflections
from rtrecon.stimulus_space.sound import SAMPLE_RATE_HZ, SOUND
from rtrecon.stimulus_space.touch import TOUCH
from rtrecon.stimulus_space.video import VIDEO


def make_tone(rate_hz: int, amplitude: float = 0.5, seconds: float = 0.3) -> np.ndarray:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return amplitude * np.sin(2 * np.pi * 1000 * t)


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    wavfile.write(path, rate_hz, samples)
    return path


def test_a_sound_is_read_as_it_was_written(tmp_path):
    samples = make_tone(SAMPLE_RATE_HZ)
    write_sound(tmp_path / "s.wav", samples)
    sound = read_sound(tmp_path / "s.wav")
    assert sound.notices == ()
    np.testing.assert_allclose(sound.samples, samples, atol=1 / 32767)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32"])
def test_every_kind_of_sample_has_the_same_full_scale(tmp_path, dtype):
    samples = make_tone(SAMPLE_RATE_HZ)
    if dtype == "uint8":
        stored = np.rint(samples * 127 + 128).astype(dtype)
    elif dtype == "float32":
        stored = samples.astype(dtype)
    else:
        stored = np.rint(samples * np.iinfo(dtype).max).astype(dtype)
    sound = read_sound(write_wav(tmp_path / "s.wav", stored))
    assert np.abs(sound.samples).max() == pytest.approx(0.5, abs=0.01)


def test_another_rate_is_resampled_and_reported(tmp_path):
    file = write_wav(tmp_path / "s.wav", make_tone(44100).astype(np.float32), 44100)
    sound = read_sound(file)
    assert sound.notices == ("s.wav is resampled from 44100 Hz to 20000 Hz",)
    levels, expected = read_sound_levels(file), make_tone(SAMPLE_RATE_HZ)
    write_sound(tmp_path / "e.wav", expected)
    found = levels[5:25].max(1).astype(int)
    assert np.abs(found - read_sound_levels(tmp_path / "e.wav")[5:25].max(1)).max() <= 2


def test_the_first_of_two_channels_is_used_and_reported(tmp_path):
    tone = make_tone(SAMPLE_RATE_HZ).astype(np.float32)
    file = write_wav(tmp_path / "s.wav", np.stack([tone, 0 * tone], 1))
    sound = read_sound(file)
    assert sound.notices == ("s.wav has 2 channels; the first is used",)
    np.testing.assert_array_equal(sound.samples, tone)


def test_clipping_is_reported(tmp_path):
    clipped = np.clip(make_tone(SAMPLE_RATE_HZ, 3.0), -1, 1).astype(np.float32)
    [notice] = read_sound(write_wav(tmp_path / "s.wav", clipped)).notices
    assert "samples of s.wav are clipped; record it at a lower level" in notice


# samples -> part of the error
WRONG_SOUNDS = {
    "silence": (np.zeros(6000, np.int16), "is silent"),
    "too short": (np.ones(100, np.int16), "lasts 0.01 s"),
    "not a number": (np.full(6000, np.nan, np.float32), "not numbers"),
}


@pytest.mark.parametrize("case", WRONG_SOUNDS)
def test_an_unusable_sound_is_refused(tmp_path, case):
    samples, words = WRONG_SOUNDS[case]
    with pytest.raises(UserError, match=words):
        read_sound(write_wav(tmp_path / "s.wav", samples))


def test_another_file_is_no_sound(tmp_path):
    (tmp_path / "s.wav").write_text("no sound at all")
    with pytest.raises(UserError, match="cannot be read as a WAV file"):
        read_sound(tmp_path / "s.wav")
    with pytest.raises(UserError, match="cannot be read as a WAV file"):
        read_sound(tmp_path / "missing.wav")


def write_table(path: Path, table: np.ndarray) -> Path:
    np.savetxt(path, table, delimiter=",", header="columns", comments="")
    return path


def test_a_table_of_whiskers_becomes_levels(tmp_path):
    angle = np.random.default_rng(0).normal(10, 5, (50, 24))
    contact = np.zeros((50, 24))
    contact[10:20, 3] = 1
    levels = read_touch_levels(
        write_table(tmp_path / "w.csv", np.hstack([angle, contact]))
    )
    values = TOUCH.from_levels(levels)
    assert levels.shape == (50, *TOUCH.shape)
    assert values[:, :, 0].std() == pytest.approx(1, abs=0.05)
    assert values[12, 3, 1] == pytest.approx(3, abs=0.05)
    assert values[30, 3, 1] == pytest.approx(0, abs=0.05)
    write_deflections(tmp_path / "out.csv", levels)
    first = (tmp_path / "out.csv").read_text().splitlines()[0]
    assert first.startswith("angle A1,angle A2")


# table -> part of the error
WRONG_TABLES = {
    "columns": (np.zeros((50, 3)), "50 rows of 3 columns; give 10 rows or more of 48"),
    "contact": (np.full((50, 48), 2.0), "contacts other than 0 and 1"),
    "gap": (np.full((50, 48), np.nan), "not numbers"),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_an_unusable_table_is_refused(tmp_path, case):
    table, words = WRONG_TABLES[case]
    with pytest.raises(UserError, match=words):
        read_touch_levels(write_table(tmp_path / "w.csv", table))


def test_a_stimulus_file_is_read_as_its_sense(tmp_path):
    write_sound(tmp_path / "s.wav", make_tone(SAMPLE_RATE_HZ))
    found = read_stimulus_file(tmp_path / "s.wav", SOUND)
    assert found.shape == (30, *SOUND.shape)
    np.save(tmp_path / "frames.npy", found)
    again = read_stimulus_file(tmp_path / "frames.npy", SOUND)
    np.testing.assert_array_equal(again, found)
    np.save(tmp_path / "movie.npy", np.zeros((2, *VIDEO.shape), np.uint8))
    with pytest.raises(UserError, match=r"shape \[36, 64\], but a frame of sound"):
        read_stimulus_file(tmp_path / "movie.npy", SOUND)
