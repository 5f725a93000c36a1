"""Reads WAV files as the encoder of a sound hears them, and writes them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.stimulus_space.sound import SAMPLE_RATE_HZ, SOUND
from rtrecon.stimulus_space.spectrogram import compute_levels

MIN_S, MAX_S = 0.1, 3600.0
_MIN_PEAK = 1e-4  # of full scale; less is silence
_CLIPPED = 0.9999  # of full scale
_MIN_CLIPPED_SHARE = 1e-3  # of the samples, to be reported


@dataclass(frozen=True)
class Sound:
    """A sound and what had to be changed to read it.

    samples: float32 in -1..1 at SAMPLE_RATE_HZ. notices: sentences.
    """

    samples: Array
    notices: tuple[str, ...]


def read_sound(path: Path | str) -> Sound:
    """Read a WAV file of any rate; of several channels the first.

    Raises UserError if it is none, too short or too long, or silent.
    """
    path = Path(path)
    rate_hz, samples = _read_wav(path)
    notices = list[str]()
    if samples.ndim > 1:
        notices.append(
            f"{path.name} has {samples.shape[1]} channels; the first is used"
        )
        samples = samples[:, 0]
    seconds = len(samples) / rate_hz
    if not MIN_S <= seconds <= MAX_S:
        raise UserError(
            f"{path} lasts {seconds:.2f} s; give a sound of {MIN_S:g} s to {MAX_S:g} s"
        )
    sound = _scale_to_unit(samples)
    if not np.isfinite(sound).all():
        raise UserError(f"{path} has samples that are not numbers; save it again")
    if np.abs(sound).max() < _MIN_PEAK:
        raise UserError(f"{path} is silent; give a file with a louder sound")
    clipped = float((np.abs(sound) >= _CLIPPED).mean())
    if clipped > _MIN_CLIPPED_SHARE:
        notices.append(
            f"{clipped:.1%} of the samples of {path.name} are clipped; record it at a "
            "lower level"
        )
    if rate_hz != SAMPLE_RATE_HZ:
        notices.append(
            f"{path.name} is resampled from {rate_hz} Hz to {SAMPLE_RATE_HZ} Hz"
        )
        sound = _resample(sound, rate_hz)
    limited = np.clip(np.asarray(sound, np.float32), -1, 1)
    return Sound(limited, tuple(notices))


def read_sound_levels(path: Path | str) -> Array:
    """Return a WAV file as frames of the sound space, uint8 (T, 24, 1)."""
    return compute_levels(read_sound(path).samples)


def write_sound(path: Path, samples: Array) -> None:
    """Write samples in -1..1 at SAMPLE_RATE_HZ as a WAV file of 16 bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    wavfile.write(path, SAMPLE_RATE_HZ, whole)


def _resample(sound: Array, rate_hz: int) -> Array:
    """Return samples at SAMPLE_RATE_HZ of samples at rate_hz."""
    from scipy.signal import resample_poly  # slow to import

    divisor = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    resampled: Array = resample_poly(
        sound, SAMPLE_RATE_HZ // divisor, rate_hz // divisor
    )
    return resampled


def _read_wav(path: Path) -> tuple[int, Array]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # chunks that hold no sound
            rate_hz, samples = wavfile.read(path)
    except (OSError, ValueError, EOFError, UnboundLocalError) as error:
        raise UserError(
            f"{path} cannot be read as a WAV file: {error}; give a WAV file for "
            f"{SOUND.name}"
        ) from None
    if rate_hz < 1 or not samples.size:
        raise UserError(f"{path} holds no sound; give a WAV file with samples")
    return int(rate_hz), samples


def _scale_to_unit(samples: Array) -> Array:
    """Return float64 in -1..1; integers are divided by their full scale."""
    if samples.dtype == np.uint8:  # the only unsigned kind of WAV
        return (samples.astype(np.float64) - 128) / 128
    if np.issubdtype(samples.dtype, np.integer):
        return samples.astype(np.float64) / -float(np.iinfo(samples.dtype).min)
    return samples.astype(np.float64)
