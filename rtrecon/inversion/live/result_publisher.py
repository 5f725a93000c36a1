"""Builds and sends the inverter's messages: movie, quality, health and notices."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from rtrecon.config import InversionSettings
from rtrecon.core.types import Array
from rtrecon.inversion.live.backlog import Backlog
from rtrecon.inversion.live.hop_statistics import HopStatistics
from rtrecon.inversion.live.quality import LiveQuality, WindowEstimate
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.metrics.visual_field import encode_visual_field
from rtrecon.protocol import messages
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.transport.publisher import Publisher

QUALITY_EVERY_HOPS = 3
_MAP_EVERY_HOPS = 24  # a multiple of the one above
_MAX_LEVEL = 255
_MAX_HELD_OUT = 16  # held-out neurons whose predictions are published


class ResultPublisher:
    """Publishes what the inverter found.

    identifiability: float32 (height, width), the map that goes with the quality
    message. held_out: (n,) bool. visual_field: bool (height, width), where the neurons
    look. space: of the stimuli.
    """

    def __init__(
        self,
        publisher: Publisher,
        settings: InversionSettings,
        encoder_rate_hz: float,
        identifiability: Array,
        held_out: Array,
        visual_field: Array,
        space: StimulusSpace,
    ) -> None:
        self._publisher = publisher
        self._space = None if space == VIDEO else space
        self._settings = settings
        self._rate_hz = encoder_rate_hz
        self._identifiability = identifiability
        self._visual_field = visual_field
        self._neurons = np.flatnonzero(held_out)[:_MAX_HELD_OUT]
        self._memory = MemoryMeter()

    def send_movie(
        self,
        newest: messages.Activity,
        movie: Array,
        information: Tensor,
        n_steps: int,
    ) -> None:
        """Send the window (W, height, width); newest: header of its last frame."""
        pixels = np.rint(movie).astype(np.uint8)
        self._publisher.publish(
            messages.Movie,
            pixels,
            encoder_frame=newest.encoder_frame,
            n_final=self._settings.hop_frames,
            lag_s=(len(movie) - self._settings.hop_frames) / self._rate_hz,
            shape=pixels.shape,
            n_steps=n_steps,
            t_frame=newest.t_frame,
            information_fraction=information.double().numpy().round(3).tolist(),
            stimulus_space=self._space,
        )

    def send_quality(
        self, window: WindowEstimate, quality: LiveQuality, n_hops: int
    ) -> None:
        """Send the metrics, and the map now and then. n_hops: done before this one."""
        has_map = n_hops % _MAP_EVERY_HOPS == 0
        self._publisher.publish(
            messages.Quality,
            self._identifiability if has_map else b"",
            encoder_frame=window.encoder_frame,
            lag_s=self._settings.window_frames / self._rate_hz,
            metrics=quality.values(),
            metrics_by_lag=self._values_by_lag(quality),
            evidence_age_s=self._evidence_age_s(quality),
            held_out=self._held_out_prediction(window),
            shape=self._identifiability.shape if has_map else None,
            visual_field=encode_visual_field(quality.visual_field) if has_map else None,
        )

    def send_spread(self, encoder_frame: int, sd: Array | None) -> None:
        """Send the s.d. (ages + 1, height, width), see `InversionPair.compute_sd`.

        None is not sent.
        """
        if sd is None:
            return
        levels = np.rint(np.clip(sd, 0, _MAX_LEVEL)).astype(np.uint8)
        final, prior = np.square(sd[-2:, self._visual_field])
        self._publisher.publish(
            messages.Spread,
            levels,
            encoder_frame=encoder_frame,
            hop_frames=self._settings.hop_frames,
            shape=levels.shape,
            sd=float(np.sqrt(final.mean())),
            data_share=float(np.clip(1 - final / prior, 0, 1).mean()),
        )

    def send_health(self, statistics: HopStatistics, backlog: Backlog) -> None:
        """Send counters, latencies and memory."""
        memory_mb = self._memory.measure_mb()
        self._publisher.publish(
            messages.Health,
            process="inverter",
            state="running" if statistics.n_hops else "waiting",
            latency_ms={k: v.percentiles() for k, v in statistics.latency.items()},
            queue_depth={"activity": len(backlog)},
            lost={"activity": backlog.skipped, "results": self._publisher.n_lost},
            deadline_misses=statistics.deadline_misses,
            steps_per_hop=statistics.steps_per_hop,
            memory_mb=memory_mb,
            peak_memory_mb=self._memory.peak_mb,
        )

    def send_notices(self, notices: list[tuple[str, str]]) -> None:
        """Send each notice as an event: its name and its sentence."""
        for name, sentence in notices:
            self._publisher.publish(messages.Event, name=name, message=sentence)

    def _values_by_lag(self, quality: LiveQuality) -> dict[str, dict[str, float]]:
        hop_s = self._settings.hop_frames / self._rate_hz
        return {
            name: {f"{(age + 1) * hop_s:.2f}": value for age, value in by_age.items()}
            for name, by_age in quality.values_by_age().items()
        }

    def _evidence_age_s(self, quality: LiveQuality) -> float | None:
        age_frames = quality.evidence_age_frames
        return None if age_frames is None else age_frames / self._rate_hz

    def _held_out_prediction(
        self, window: WindowEstimate
    ) -> messages.HeldOutPrediction:
        """Return the oldest frames: as many as became final since the last message."""
        count = QUALITY_EVERY_HOPS * self._settings.hop_frames
        predicted = window.predicted[:count, self._neurons].astype(float)
        return messages.HeldOutPrediction(
            encoder_frame=window.encoder_frame - len(window.predicted) + 1,
            neurons=self._neurons.tolist(),
            predicted=predicted.round(3).tolist(),
        )
