"""What the sound program sends, from WAV files and from a recording program."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from rtrecon.protocol import messages
from rtrecon.sources.sound_file import read_sound_levels
from rtrecon.stimulus_space.fit_frame import find_misfit, fit_stimulus
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.testing.daemon_process import make_settings
from tests.support.octave import MessageCollector
from tests.support.paths import BRIDGE

PROGRAM = BRIDGE / "python" / "sound.py"
SECONDS = 0.3


def make_sound(rate_hz: int, amplitude: float = 0.4) -> np.ndarray:
    """A chord whose loudness changes, float in -1..1."""
    t = np.arange(round(SECONDS * rate_hz)) / rate_hz
    chord = sum(np.sin(2 * np.pi * hz * t) for hz in (440, 1000, 3100)) / 3
    return amplitude * chord * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * t))


def to_int16(samples: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def play(*arguments: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def collect(
    tmp_path: Path, *arguments: object, stdin: int = subprocess.DEVNULL
) -> tuple[str, list[messages.StimulusFrame], np.ndarray]:
    """Run the program; return its output, the headers, and the levels 0 to 255."""
    settings = make_settings(tmp_path).network
    process = play(*arguments, "--address", settings.frames, stdin=stdin)
    with MessageCollector(settings) as collector:
        output = collector.collect_until_ended(process)
    headers = [header for header, _ in collector.received]
    for header, frame in collector.received:
        assert find_misfit(header.space, frame, SOUND) is None
    levels = [fit_stimulus(frame, SOUND) for _, frame in collector.received]
    return output, headers, np.stack(levels)


@pytest.mark.parametrize("rate_hz", [20_000, 44_100, 22_050])
def test_levels_are_those_of_rtrecon_at_any_rate(tmp_path, rate_hz):
    wavfile.write(tmp_path / "s.wav", rate_hz, to_int16(make_sound(rate_hz)))
    began_s = time.time()
    output, headers, levels = collect(tmp_path, tmp_path / "s.wav")
    assert output == "30 frames of sound sent, 0 lost\n"
    expected = read_sound_levels(tmp_path / "s.wav").astype(int)
    loud = expected[2:-2] > 100  # in others, the window's rounding is louder
    assert np.abs(levels[2:-2] - expected[2:-2])[loud].max() <= 4
    assert [(h.seq, h.index, h.clip) for h in headers] == [
        (i, i, "s") for i in range(30)
    ]
    times_s = np.array([header.t_send for header in headers])
    assert began_s < times_s[0]
    assert (np.diff(times_s) > 0).all()


def test_a_recording_program_is_read_as_it_writes(tmp_path):
    samples = to_int16(make_sound(20_000, 1.4))
    both = np.stack([samples, np.zeros_like(samples)], 1)
    (tmp_path / "raw").write_bytes(both.astype("<i2").tobytes() + b"\0")
    wavfile.write(tmp_path / "s.wav", 20_000, samples)
    with (tmp_path / "raw").open("rb") as raw:
        arguments = "-", "--rate", 20000, "--channels", 2
        output, headers, levels = collect(tmp_path, *arguments, stdin=raw.fileno())
    assert "the sound has 2 channels; the first is sent" in output
    assert "of the samples are clipped; record at a lower level" in output
    assert {header.clip for header in headers} == {"microphone"}
    np.testing.assert_allclose(levels, read_sound_levels(tmp_path / "s.wav"), atol=1)


def test_bands_that_a_slow_recording_does_not_have_are_named(tmp_path):
    wavfile.write(tmp_path / "s.wav", 8000, to_int16(make_sound(8000)))
    output, _, levels = collect(tmp_path, tmp_path / "s.wav")
    assert "at 8000 Hz there is no sound above 4000 Hz" in output
    assert (levels[:, SOUND.axes[0].positions > 4500] == 0).all()


def test_silence_of_a_microphone_is_reported_while_it_lasts(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(2 * 4000 * 6))
    with (tmp_path / "raw").open("rb") as raw:
        output, *_ = collect(tmp_path, "-", "--rate", 4000, stdin=raw.fileno())
    assert output.count("nothing but silence for 5 s; is the microphone on?") == 1


# samples and rate of a file, or None for text -> part of the error
UNUSABLE = {
    "silent": ((np.zeros(4000, np.int16), 20_000), "is silent; give a louder sound"),
    "empty": ((np.zeros(0, np.int16), 20_000), "is silent"),
    "slow": ((to_int16(make_sound(1000)), 1000), "at 1000 Hz is impossible"),
    "text": (None, "cannot be read as a WAV file"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_files_without_a_usable_sound_are_refused(tmp_path, case):
    written, words = UNUSABLE[case]
    (tmp_path / "s.wav").write_text("no sound")
    if written is not None:
        wavfile.write(tmp_path / "s.wav", written[1], written[0])
    process = play(tmp_path / "s.wav")
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words in " ".join(complaint.split())


def test_the_sound_program_does_not_import_rtrecon():
    text = PROGRAM.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(import|from) rtrecon", text, re.M)
