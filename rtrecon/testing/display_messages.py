"""An experiment as a display hears it: every message in time order, from a seed.

The truth is known: the movie is the stimulus blurred and noisy by a chosen amount, the
activity is waves over the neurons, the brain drifts slowly and jumps once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.simulate.movie import natural_movie

RATE_HZ = 30
WINDOW, HOP = 24, 6  # frames: still changing, and new per movie message
FIELD_SHAPE = (128, 128)
STEP = 4
QUALITY_HOPS = 3  # per quality message
N_HELD_OUT = 16  # neurons whose predictions are published

Timed = tuple[float, messages.Published, Array]


@dataclass(frozen=True)
class World:
    """How well decoding goes: 1 = the movie is the stimulus, 0 = it is noise."""

    skill: float = 0.85
    seconds: float = 12.0
    n_neurons: int = 900
    session: str = "session-1"
    seed: int = 5

    def messages(self) -> Iterator[Timed]:
        """Yield (time in s, message, payload), each topic numbered from 0.

        Every message has been through its bytes, as it would be on the wire.
        """
        rng = np.random.default_rng(self.seed)
        n_frames = int(self.seconds * RATE_HZ)
        stimulus = natural_movie(n_frames, seed=self.seed)
        movie = self._reconstructed(stimulus, rng)
        field = field_image(rng)
        seq = dict.fromkeys(messages.TOPICS, 0)
        for i in range(n_frames):
            for message, payload in self._at(i, stimulus, movie, field, rng):
                topic = str(type(message).__struct_config__.tag)
                own = {"seq": seq[topic], "session": self.session, "t": 1e9 + i / 30}
                seq[topic] += 1
                yield i / RATE_HZ, *through_bytes(message_with(message, **own), payload)

    def rates(self, index):
        """Return the rates that activity (n_neurons,) at a frame is drawn from."""
        every = np.arange(self.n_neurons)
        waves = np.sin(every * 0.7 + index / RATE_HZ * (1 + every % 5))
        return np.exp(1.5 * waves - 1.5)

    def _held_out(self, index, rng):
        """The movie's oldest hops: true rates, and noise in place of skill."""
        neurons = np.linspace(0, self.n_neurons - 1, N_HELD_OUT).astype(int)
        first = index - WINDOW - HOP + 1
        told = range(first, first + QUALITY_HOPS * HOP)
        rates = np.stack([self.rates(i)[neurons] for i in told])
        noise = rng.exponential(0.3, rates.shape)
        predicted = self.skill * rates + (1 - self.skill) * noise
        return messages.HeldOut(first, neurons.tolist(), predicted.tolist())

    def _at(self, i, stimulus, movie, field, rng):
        base = {"session": "", "seq": 0, "t": 0.0}
        t_s = i / RATE_HZ
        rates = self.rates(i)
        spikes = rng.poisson(rates).astype(np.float32)
        yield messages.Activity(**base, index=i, frame=i, t_frame=0.0), spikes
        yield (
            messages.Seen(**base, index=i, clip="natural", shape=stimulus[i].shape),
            stimulus[i],
        )
        if i % 6 == 0:
            shift = (
                1.5 * np.sin(t_s / 4) + 6 * np.exp(-((t_s - 8) ** 2) * 8),
                np.cos(t_s / 3),
            )
            moved = np.roll(field, np.round(shift).astype(int) // STEP, (0, 1))
            yield (
                messages.Field(
                    **base,
                    frame=i,
                    shape=FIELD_SHAPE,
                    shift_px=tuple(map(float, shift)),
                    confidence=0.83,
                    step=STEP,
                    z=float(1.5 + np.sin(t_s / 5)),
                ),
                moved,
            )
        if i % HOP == HOP - 1 and i >= WINDOW + HOP:
            frames = movie[i - WINDOW - HOP + 1 : i + 1]
            yield (
                messages.Movie(
                    **base,
                    index=i,
                    final=HOP,
                    lag=WINDOW / RATE_HZ + 0.15,
                    shape=frames.shape,
                    steps=4,
                    t_frame=0.0,
                ),
                frames,
            )
            if (i // HOP) % QUALITY_HOPS == 0:
                yield self._quality(base, i, rng)
        if i % RATE_HZ == 0:
            yield self._front(base, i), b""
            yield self._inverter(base), b""
        if i == 3 * RATE_HZ:
            yield (
                messages.Event(
                    **base, name="template", message="Template taken from 100 frames."
                ),
                b"",
            )

    def _reconstructed(self, stimulus, rng):
        noise = gaussian_filter(rng.normal(size=stimulus.shape), (2, 3, 3))
        noise *= 50 / noise.std()
        smooth = gaussian_filter(stimulus.astype(float), (1, 1, 1))
        mixed = self.skill * smooth + (1 - self.skill) * (100 + noise)
        return np.clip(mixed, 0, 255).astype(np.uint8)

    def _quality(self, base, i, rng):
        null, noise = 0.02, rng.normal(0, 0.03, 4).tolist()
        trust = np.exp(
            -(((np.indices((36, 64)).T - (18, 34)) / (14, 22)) ** 2).sum(-1)
        ).T
        message = messages.Quality(
            **base,
            index=i,
            lag=0.8,
            activity_correlation=null + 0.35 * self.skill**2 + noise[0],
            null_correlation=null + noise[1],
            pixel_correlation=0.85 * self.skill + noise[2],
            null_pixel_correlation=noise[3],
            held_out=self._held_out(i, rng),
            shape=(36, 64),
        )
        return message, trust.astype(np.float32)

    def _front(self, base, i):
        return messages.Health(
            **base,
            station="front",
            state="running",
            rate_hz=30.0,
            frames_received=i,
            frames_processed=i,
            realtime_factor=1.0,
            gaps=messages.Gaps(source=2),
            latency_ms={
                "frame_to_traces": messages.Percentiles(4.2, 6.0, 7.9, 12.0, i + 1),
                "send_to_receive": messages.Percentiles(0.3, 0.5, 0.9, 4.0, i + 1),
            },
            memory_mb=412,
            disk_free_gb=381,
        )

    def _inverter(self, base):
        return messages.Health(
            **base,
            station="inverter",
            state="running",
            steps_per_hop=4.2,
            memory_mb=980,
            latency_ms={
                "activity_to_movie": messages.Percentiles(142, 220, 310, 420, 50),
                "frame_to_movie": messages.Percentiles(150, 231, 322, 440, 50),
            },
        )


def through_bytes(message, payload=b""):
    """Return message and payload as a subscriber reads them."""
    return messages.decode_published(messages.encode_published(message, payload))


def message_with(message, **fields):
    """Return the same message with other values of some fields."""
    own = {name: getattr(message, name) for name in message.__struct_fields__}
    return type(message)(**{**own, **fields})


def field_image(rng):
    """Return a field of bright somata on a dim, uneven background, uint8."""
    field = gaussian_filter(rng.normal(size=FIELD_SHAPE), 12) * 200
    for y, x in rng.integers(6, FIELD_SHAPE[0] - 6, (70, 2)):
        yy, xx = np.indices(FIELD_SHAPE)
        distance = np.hypot(yy - y, xx - x)
        field += rng.uniform(20, 90) * np.exp(-(((distance - 2) / 1.4) ** 2))
    field += gaussian_filter(rng.normal(size=FIELD_SHAPE), 0.7) * 14
    return np.clip(field + 40, 0, 255).astype(np.uint8)
