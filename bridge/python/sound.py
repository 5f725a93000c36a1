"""Send a sound to rtrecon, from a file or a microphone. Needs numpy and pyzmq.

    python sound.py birds.wav                                      a WAV file
    arecord -t raw -f S16_LE -r 44100 -c 1 | python sound.py -     a microphone

Start it as the sound starts. `-` reads 16-bit samples of a recording program (arecord,
sox, ffmpeg), with --rate and --channels. Of several channels, the first is sent. In
your own program, give samples to `SoundAnalyzer` and its frames to `SoundSender`.
"""

from __future__ import annotations

import argparse
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from sender import MessageSender

FRAMES_HZ = 100.0
N_BANDS, LOWEST_HZ, HIGHEST_HZ = 24, 250.0, 8000.0
MIN_RATE_HZ = 2000
WINDOW_S = 0.032  # of sound around the middle of a frame
FLOOR = 1e-12  # so that silence has a logarithm
SILENT_PEAK, CLIPPED_PEAK = 1e-4, 0.9999  # of full scale
MIN_CLIPPED_SHARE = 1e-3  # of the samples, to be reported
SILENCE_S = 5.0  # after which silence is reported
CLOCK_SHARE = 1e-3  # of a block's lateness by which the start is corrected


class SoundAnalyzer:
    """Turns samples, float in -1..1, into frames of 24 band levels in dB.

    A level is relative to a sine of full scale. Any sample rate is analysed as it is,
    with a window of the same duration.
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        length = round(WINDOW_S * rate_hz)
        self._margin = (length - round(rate_hz / FRAMES_HZ)) // 2
        self._window = np.hanning(length + 2)[1:-1]
        self._filters = make_filters(length, rate_hz)
        self._samples = np.zeros(self._margin)
        self._first = -self._margin  # index of the first sample that is held
        self._n_frames = 0

    def add_samples(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Add samples; yield each frame that is complete, (24, 1) float32 in dB."""
        self._samples = np.concatenate([self._samples, samples])
        while True:
            start = round(self._n_frames * self.rate_hz / FRAMES_HZ) - self._margin
            part = self._samples[start - self._first :][: len(self._window)]
            if len(part) < len(self._window):
                return
            spectrum = np.fft.rfft(part * self._window) * (2 / self._window.sum())
            energy = self._filters @ np.square(np.abs(spectrum))
            yield (10 * np.log10(energy + FLOOR))[:, None].astype(np.float32)
            self._n_frames += 1
            self._samples = self._samples[start - self._first :]
            self._first = start

    def finish(self) -> Iterator[np.ndarray]:
        """Yield the last frames, as if silence followed."""
        yield from self.add_samples(np.zeros(self._margin))


class SoundSender(MessageSender):
    """Sends each frame with its time."""

    def __init__(self, clip: str, address: str, keys: Path | None = None) -> None:
        super().__init__(address, keys)
        self._clip = clip

    def send_frame(self, levels_db: np.ndarray, index: int, began_s: float) -> None:
        """Send a frame (24, 1); began_s: when it began, by time.time()."""
        header = {"type": "stimulus", "clip": self._clip, "index": index}
        header |= {"t_send": began_s, "space": "sound"}
        header |= {"shape": levels_db.shape, "dtype": "float32"}
        self.send(header, np.ascontiguousarray(levels_db))


class LevelWatch:
    """Reports silence while it lasts, and at the end the share of clipped samples."""

    def __init__(self) -> None:
        self._n = self._n_clipped = 0
        self._silent_s, self._is_reported = 0.0, False

    def add_samples(self, samples: np.ndarray, rate_hz: float) -> None:
        """Look at the next samples."""
        peak = np.abs(samples).max(initial=0.0)
        self._n += len(samples)
        self._n_clipped += int((np.abs(samples) >= CLIPPED_PEAK).sum())
        is_silent = peak < SILENT_PEAK
        self._silent_s = self._silent_s + len(samples) / rate_hz if is_silent else 0.0
        if self._silent_s >= SILENCE_S and not self._is_reported:
            print(f"nothing but silence for {SILENCE_S:g} s; is the microphone on?")
        self._is_reported = self._silent_s >= SILENCE_S

    def report_clipping(self) -> None:
        """Report clipped samples, if there were many."""
        share = self._n_clipped / max(1, self._n)
        if share > MIN_CLIPPED_SHARE:
            print(f"{share:.1%} of the samples are clipped; record at a lower level")


def make_filters(length: int, rate_hz: float) -> np.ndarray:
    """Return (24, bins): triangles over the logarithm of frequency."""
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    centers = np.log2(np.geomspace(LOWEST_HZ, HIGHEST_HZ, N_BANDS))
    with np.errstate(divide="ignore"):
        octaves = np.log2(frequency)
    distance = np.abs(octaves[None] - centers[:, None]) / (centers[1] - centers[0])
    return np.maximum(0, 1 - distance)


def read_wav(path: Path) -> tuple[np.ndarray, float]:
    """Return the samples (T, channels), -1..1, and the rate; ValueError if unusable."""
    try:
        with wave.open(str(path), "rb") as file:
            width, n_channels = file.getsampwidth(), file.getnchannels()
            rate_hz, stored = float(file.getframerate()), file.readframes(-1)
    except (OSError, EOFError, wave.Error) as error:
        raise ValueError(f"{path} cannot be read as a WAV file: {error}") from None
    if width not in (1, 2, 4):
        raise ValueError(f"{path} has samples of {8 * width} bit; save it with 16 bit")
    values = np.frombuffer(stored, f"<{'u' if width == 1 else 'i'}{width}")
    values = values[: len(values) // n_channels * n_channels].astype(np.float64)
    middle, full_scale = (128, 128) if width == 1 else (0, 2.0 ** (8 * width - 1))
    return ((values - middle) / full_scale).reshape(-1, n_channels), rate_hz


def iterate_file(samples: np.ndarray, rate_hz: float) -> Iterator[np.ndarray]:
    """Yield a sound block by block, each as soon as it would have been played."""
    began_s, step = time.monotonic(), round(rate_hz / FRAMES_HZ)
    for start in range(0, len(samples), step):
        due_s = began_s + (start + step) / rate_hz
        time.sleep(max(0.0, due_s - time.monotonic()))
        yield samples[start : start + step]


def iterate_stream(
    stream: BinaryIO, rate_hz: float, n_channels: int
) -> Iterator[np.ndarray]:
    """Yield the first channel of 16-bit samples as they arrive."""
    n_bytes = 2 * n_channels * round(rate_hz / FRAMES_HZ)
    while block := stream.read(n_bytes):
        whole = block[: len(block) // (2 * n_channels) * 2 * n_channels]
        yield np.frombuffer(whole, "<i2")[::n_channels] / 32768.0


def stream_sound(
    blocks: Iterator[np.ndarray], rate_hz: float, sender: SoundSender
) -> None:
    """Analyse blocks as they come, and send each frame with the time it began."""
    analyzer, watch = SoundAnalyzer(rate_hz), LevelWatch()
    n_samples, index, start_s = 0, 0, 0.0
    for block in blocks:
        n_samples += len(block)
        # A sound card's clock differs from the computer's by a little.
        found_s = time.time() - n_samples / rate_hz
        start_s = start_s + CLOCK_SHARE * (found_s - start_s) if index else found_s
        watch.add_samples(block, rate_hz)
        for levels_db in analyzer.add_samples(block):
            sender.send_frame(levels_db, index, start_s + index / FRAMES_HZ)
            index += 1
    for levels_db in analyzer.finish():
        sender.send_frame(levels_db, index, start_s + index / FRAMES_HZ)
        index += 1
    watch.report_clipping()


def open_blocks(
    options: argparse.Namespace,
) -> tuple[Iterator[np.ndarray], float, str]:
    """Return blocks of samples, their rate and a name; ValueError if unusable."""
    if str(options.sound) == "-":
        rate_hz, n_channels, name = options.rate, options.channels, "microphone"
        blocks = iterate_stream(sys.stdin.buffer, rate_hz, max(1, n_channels))
    else:
        samples, rate_hz = read_wav(options.sound)
        n_channels, name = samples.shape[1], options.sound.stem
        if not len(samples) or np.abs(samples[:, 0]).max() < SILENT_PEAK:
            raise ValueError(f"{options.sound} is silent; give a louder sound")
        blocks = iterate_file(samples[:, 0], rate_hz)
    if n_channels < 1 or not rate_hz >= MIN_RATE_HZ:
        raise ValueError(
            f"a sound of {n_channels} channels at {rate_hz:g} Hz is impossible; give 1 "
            f"channel or more, and {MIN_RATE_HZ} Hz or more"
        )
    if n_channels > 1:
        print(f"the sound has {n_channels} channels; the first is sent")
    if rate_hz < 2 * HIGHEST_HZ:
        print(
            f"at {rate_hz:g} Hz there is no sound above {rate_hz / 2:g} Hz; those "
            "bands are sent as silence"
        )
    return blocks, rate_hz, name


def main() -> None:
    """Send a WAV file, or what a recording program writes."""
    parser = argparse.ArgumentParser(description="Send the levels of a sound's bands.")
    parser.add_argument("sound", type=Path, help="WAV file, or - for 16-bit samples")
    parser.add_argument("--address", default="tcp://127.0.0.1:5560")
    parser.add_argument("--keys", type=Path, help="folder from `rtrecon keys`")
    parser.add_argument("--rate", type=float, default=44100.0, help="of -, in Hz")
    parser.add_argument("--channels", type=int, default=1, help="of -")
    parser.add_argument(
        "--wait", type=float, default=5.0, help="seconds to wait for a daemon"
    )
    options = parser.parse_args()
    try:
        blocks, rate_hz, name = open_blocks(options)
    except ValueError as error:
        parser.error(str(error))
    sender = SoundSender(name, options.address, options.keys)
    if not sender.wait_for_daemon(options.wait):
        print(f"no daemon at {options.address} yet; the sound is sent anyway")
    stream_sound(blocks, rate_hz, sender)
    print(f"{sender.n_sent} frames of sound sent, {sender.n_dropped} lost")
    sender.close()


if __name__ == "__main__":
    main()
