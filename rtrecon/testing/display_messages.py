"""A simulated experiment as the display receives it: all messages in time order.

The truth is known: the movie is the stimulus, blurred and with chosen noise;
the activity is Poisson counts around waves over the neurons; the brain drifts slowly
and jumps once, at 8 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.simulate.movie import make_natural_movie

RATE_HZ = 30
N_PROVISIONAL, HOP = 24, 6  # frames that may still change, and new frames per message
FIELD_SHAPE = (128, 128)
DOWNSAMPLING = 4
QUALITY_INTERVAL_HOPS = 3
HEALTH_INTERVAL_FRAMES = RATE_HZ
N_HELD_OUT = 16  # neurons whose predictions are published

TimedMessage = tuple[float, messages.PublishedMessage, Array]
_Sent = tuple[messages.PublishedMessage, Any]  # with its payload
_Message = TypeVar("_Message", bound=messages.PublishedMessage)
_BASE: dict[str, Any] = {"session": "", "seq": 0, "t": 0.0}  # set when sent


@dataclass(frozen=True)
class SimulatedExperiment:
    """An experiment of `seconds`; the same seed gives the same messages.

    skill: 1 = the movie is the stimulus, 0 = the movie is noise.
    """

    skill: float = 0.85
    seconds: float = 12.0
    n_neurons: int = 900
    session: str = "session-1"
    seed: int = 5

    def generate_messages(self) -> Iterator[TimedMessage]:
        """Yield (time in s, message, payload); each topic counts `seq` from 0.

        Every message was encoded and decoded, as on the network.
        """
        rng = np.random.default_rng(self.seed)
        n_frames = int(self.seconds * RATE_HZ)
        stimulus = make_natural_movie(n_frames, seed=self.seed)
        movie = self._reconstruct(stimulus, rng)
        field = make_field_image(rng)
        seq = dict.fromkeys(messages.TOPICS, 0)
        for i in range(n_frames):
            for message, payload in self._messages_at(i, stimulus, movie, field, rng):
                topic = messages.message_type(message)
                header = {"seq": seq[topic], "session": self.session, "t": 1e9 + i / 30}
                seq[topic] += 1
                sent = replace_fields(message, **header)
                yield i / RATE_HZ, *encode_and_decode(sent, payload)

    def firing_rates(self, index: int) -> Array:
        """Return the rates (n_neurons,) that the activity of a frame is drawn from."""
        neurons = np.arange(self.n_neurons)
        waves = np.sin(neurons * 0.7 + index / RATE_HZ * (1 + neurons % 5))
        return np.asarray(np.exp(1.5 * waves - 1.5))

    def _messages_at(
        self,
        i: int,
        stimulus: Array,
        movie: Array,
        field: Array,
        rng: np.random.Generator,
    ) -> Iterator[_Sent]:
        """Yield all messages of encoder frame `i`."""
        spikes = rng.poisson(self.firing_rates(i)).astype(np.float32)
        yield messages.Activity(**_BASE, encoder_frame=i, frame=i, t_frame=0.0), spikes
        yield _make_stimulus(i, stimulus[i])
        if i % 6 == 0:
            yield _make_field(i, field)
        if i % HOP == HOP - 1 and i >= N_PROVISIONAL + HOP:
            yield _make_movie(i, movie)
            if (i // HOP) % QUALITY_INTERVAL_HOPS == 0:
                yield self._make_quality(i, rng)
        if i % HEALTH_INTERVAL_FRAMES == 0:
            yield _make_daemon_health(i), b""
            yield _make_inverter_health(), b""
        if i == 3 * RATE_HZ:
            text = "Template taken from 100 frames."
            yield messages.Event(**_BASE, name="template", message=text), b""

    def _reconstruct(self, stimulus: Array, rng: np.random.Generator) -> Array:
        """Return the movie: the blurred stimulus, and noise in place of skill."""
        noise = gaussian_filter(rng.normal(size=stimulus.shape), (2, 3, 3))
        noise *= 50 / noise.std()
        smooth = gaussian_filter(stimulus.astype(float), (1, 1, 1))
        mixed = self.skill * smooth + (1 - self.skill) * (100 + noise)
        return np.clip(mixed, 0, 255).astype(np.uint8)

    def _make_quality(self, i: int, rng: np.random.Generator) -> _Sent:
        null, noise = 0.02, rng.normal(0, 0.03, 5).tolist()
        distance = (np.indices((36, 64)).T - (18, 34)) / (14, 22)
        identifiability = np.exp(-(distance**2).sum(-1)).T
        message = messages.Quality(
            **_BASE,
            encoder_frame=i,
            lag_s=0.8,
            metrics={
                "activity_correlation": null + 0.35 * self.skill**2 + noise[0],
                "null_activity_correlation": null + noise[1],
                "visual_field_correlation": 0.85 * self.skill + noise[2],
                "null_visual_field_correlation": noise[3],
                "mean_frame_visual_field_correlation": 0.25 + noise[4],
            },
            evidence_age_s=0.0,
            held_out=self._predict_held_out(i, rng),
            shape=(36, 64),
        )
        return message, identifiability.astype(np.float32)

    def _predict_held_out(
        self, index: int, rng: np.random.Generator
    ) -> messages.HeldOutPrediction:
        """Predict the movie's oldest hops: true rates, and noise in place of skill."""
        neurons = np.linspace(0, self.n_neurons - 1, N_HELD_OUT).astype(int)
        first = index - N_PROVISIONAL - HOP + 1
        predicted_frames = range(first, first + QUALITY_INTERVAL_HOPS * HOP)
        rates = np.stack([self.firing_rates(i)[neurons] for i in predicted_frames])
        noise = rng.exponential(0.3, rates.shape)
        predicted = self.skill * rates + (1 - self.skill) * noise
        return messages.HeldOutPrediction(first, neurons.tolist(), predicted.tolist())


def encode_and_decode(
    message: messages.PublishedMessage, payload: Any = b""
) -> tuple[messages.PublishedMessage, Array]:
    """Return message and payload as a subscriber receives them."""
    return messages.decode_published(messages.encode_published(message, payload))


def replace_fields(message: _Message, **fields: Any) -> _Message:
    """Return the same message with other values of some fields."""
    return msgspec.structs.replace(message, **fields)


def make_field_image(rng: np.random.Generator) -> Array:
    """Return bright somata on a dim, uneven background, uint8 `FIELD_SHAPE`."""
    field = gaussian_filter(rng.normal(size=FIELD_SHAPE), 12) * 200
    for y, x in rng.integers(6, FIELD_SHAPE[0] - 6, (70, 2)):
        rows, columns = np.indices(FIELD_SHAPE)
        distance = np.hypot(rows - y, columns - x)
        field += rng.uniform(20, 90) * np.exp(-(((distance - 2) / 1.4) ** 2))
    field += gaussian_filter(rng.normal(size=FIELD_SHAPE), 0.7) * 14
    return np.clip(field + 40, 0, 255).astype(np.uint8)


def _make_stimulus(i: int, image: Array) -> _Sent:
    height, width = image.shape
    message = messages.AlignedStimulus(
        **_BASE, encoder_frame=i, clip="natural", shape=(height, width)
    )
    return message, image


def _make_field(i: int, field: Array) -> _Sent:
    t_s = i / RATE_HZ
    y_px = 1.5 * np.sin(t_s / 4) + 6 * np.exp(-((t_s - 8) ** 2) * 8)
    x_px = np.cos(t_s / 3)
    shift = np.round((y_px, x_px)).astype(int) // DOWNSAMPLING
    message = messages.FieldImage(
        **_BASE,
        frame=i,
        shape=FIELD_SHAPE,
        shift_px=(float(y_px), float(x_px)),
        confidence=0.83,
        downsampling=DOWNSAMPLING,
        z_offset=float(1.5 + np.sin(t_s / 5)),
    )
    return message, np.roll(field, shift, (0, 1))


def _make_movie(i: int, movie: Array) -> _Sent:
    frames = movie[i - N_PROVISIONAL - HOP + 1 : i + 1]
    n, height, width = frames.shape
    message = messages.Movie(
        **_BASE,
        encoder_frame=i,
        n_final=HOP,
        lag_s=N_PROVISIONAL / RATE_HZ + 0.15,
        shape=(n, height, width),
        n_steps=4,
        t_frame=0.0,
    )
    return message, frames


def _make_daemon_health(i: int) -> messages.Health:
    return messages.Health(
        **_BASE,
        process="daemon",
        state="running",
        rate_hz=30.0,
        frames_received=i,
        frames_processed=i,
        realtime_factor=1.0,
        gaps=messages.GapCounts(source=2),
        latency_ms={
            "frame_to_traces": messages.LatencyPercentiles(4.2, 6.0, 7.9, 12.0, i + 1),
            "send_to_receive": messages.LatencyPercentiles(0.3, 0.5, 0.9, 4.0, i + 1),
        },
        memory_mb=412,
        disk_free_gb=381,
    )


def _make_inverter_health() -> messages.Health:
    return messages.Health(
        **_BASE,
        process="inverter",
        state="running",
        steps_per_hop=4.2,
        memory_mb=980,
        latency_ms={
            "activity_to_movie": messages.LatencyPercentiles(142, 220, 310, 420, 50),
            "frame_to_movie": messages.LatencyPercentiles(150, 231, 322, 440, 50),
        },
    )
