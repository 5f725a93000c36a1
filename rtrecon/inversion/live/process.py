"""The inverter process: receives activity, publishes the live movie and its quality.

Soft real time: the process may fall behind, crash or be killed. If more than
`_MAX_BACKLOG_HOPS` hops are queued, it takes in the oldest without inverting them; each
counts as a missed deadline.
"""

from __future__ import annotations

import time

import torch
import zmq

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.process import ParentProcess
from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.encoder.sensitivity import find_visual_field, get_mean_frame
from rtrecon.inversion import device
from rtrecon.inversion.live.backlog import Backlog, QueuedActivity
from rtrecon.inversion.live.hop_statistics import HopStatistics
from rtrecon.inversion.live.inversion_pair import InversionPair
from rtrecon.inversion.live.live_inversion import LiveInversion
from rtrecon.inversion.live.movie_spread import MIN_HOPS
from rtrecon.inversion.live.quality import LiveQuality, QualitySettings, WindowEstimate
from rtrecon.inversion.live.result_publisher import QUALITY_EVERY_HOPS, ResultPublisher
from rtrecon.inversion.live.step_budget import StepBudget
from rtrecon.inversion.live.stimulus_responses import StimulusResponses
from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.keys import get_client_keys
from rtrecon.transport.publisher import Publisher
from rtrecon.transport.rpc import RpcError, call_daemon_with_payload
from rtrecon.transport.subscriber import Subscriber

_POLL_S = 0.1
_WARM_UP_S = 0.5  # of steps, for each inversion
_MAX_BACKLOG_HOPS = 2
# Deterministic mode skips nothing; the daemon waits when it is one window ahead.
_DETERMINISTIC_WINDOWS = 10


class InverterProcess:
    """The loop around an `InversionPair`: sockets, sessions, hops."""

    def __init__(self, settings: Settings, daemon: ParentProcess) -> None:
        self._checkpoint_path = find_checkpoint(settings.encoder.checkpoint or "demo")
        checkpoint = load_checkpoint(self._checkpoint_path)
        torch.set_num_threads(settings.inversion.threads)
        device.configure_torch(repeatable=settings.inversion.deterministic)
        self._settings = settings.inversion
        self._rate_hz = settings.timing.encoder_rate_hz
        self._hop_s = self._settings.hop_frames / self._rate_hz
        self._budget = StepBudget(
            self._hop_s, self._settings.time_budget_fraction, QUALITY_EVERY_HOPS
        )
        self._daemon = daemon
        self._context: sockets.Context = zmq.Context()
        network = settings.network
        self._keys = keys = get_client_keys(network)
        self._control = network.control
        self._subscriber = Subscriber(network.publish, keys, context=self._context)
        self._outbox = sockets.connect_socket(
            self._context, zmq.PUSH, network.results, keys
        )
        self._publisher = Publisher(self._outbox)
        self._use_checkpoint(checkpoint)
        self._health_interval_s = network.health_interval_s
        self._health_due_s = 0.0
        self._spread_s = 0.0  # time that the posterior sample took in the last hop
        self._begin_session("")

    def run(self) -> None:
        """Invert until the daemon sends "shutdown" or exits."""
        self._warm_up()
        self._receive_history()
        while True:
            for message, payload in self._receive_messages():
                if isinstance(message, messages.Event) and message.name == "shutdown":
                    return
                self._handle_message(message, payload)
            if len(self._backlog) >= self._settings.hop_frames:
                self._process_hop()
            if time.monotonic() >= self._health_due_s:
                if not self._daemon.is_running():
                    return
                self._health_due_s = time.monotonic() + self._health_interval_s
                self._results.send_health(self._statistics, self._backlog)

    def close(self) -> None:
        """Close the sockets."""
        self._subscriber.close()
        self._outbox.close()
        self._context.term()

    def _use_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Invert with this encoder from now on; movie and quality begin anew."""
        self._checkpoint = checkpoint
        self._pair = InversionPair(checkpoint, self._settings)
        held_out = self._pair.held_out.numpy()
        visual_field = find_visual_field(checkpoint)
        self._quality = LiveQuality(
            QualitySettings(
                held_out=held_out,
                visual_field=visual_field,
                mean_frame=get_mean_frame(checkpoint),
                space=checkpoint.space,
                hop_frames=self._settings.hop_frames,
                window_frames=self._settings.window_frames,
                rate_hz=self._rate_hz,
            )
        )
        self._stimulus_responses = StimulusResponses(checkpoint)
        self._results = ResultPublisher(
            self._publisher,
            self._settings,
            self._rate_hz,
            checkpoint.calibration.identifiability.numpy(),
            held_out,
            visual_field,
            checkpoint.space,
        )

    def _take_newer_encoder(self, message: messages.Calibration) -> None:
        """Use the encoder that the calibrator has written over the present one.

        The newest activity is requested again, so that the movie goes on at once.
        """
        present = self._checkpoint.card.metadata.get("calibration", {})
        if message.n_encoders <= present.get("n_encoders", message.n_encoders):
            return
        try:
            checkpoint = load_checkpoint(self._checkpoint_path)
        except UserError as error:
            self._results.send_notices([("encoder", f"{error}; the old one stays")])
            return
        self._use_checkpoint(checkpoint)
        self._backlog = Backlog(self._settings.window_frames)
        self._receive_history()
        sentence = f"the inverter uses encoder {message.n_encoders} of this session"
        self._results.send_notices([("encoder", sentence)])

    def _warm_up(self) -> None:
        """Run a spare pair without activity: its compilation must not delay a hop."""
        spare = InversionPair(self._checkpoint, self._settings)
        for inversion in (spare.live, spare.null):
            if inversion is not None:
                spare.take_steps(inversion, time.monotonic() + _WARM_UP_S)
                inversion.predict_activity()
                inversion.movie()
        for _ in range(MIN_HOPS):
            spare.update_spread()
        spare.compute_sd()
        self._results.send_notices(spare.pop_notices())

    def _receive_history(self) -> None:
        """Take in what the daemon published before this process was connected."""
        try:
            _, parts = call_daemon_with_payload(self._control, "history", self._keys)
        except RpcError:
            return  # a daemon that has only just started has no history
        for first in range(0, len(parts), 3):
            message = messages.decode_published(parts[first : first + 3])
            self._handle_message(*message)
        if self._settings.deterministic:
            return  # every hop gets its steps
        while len(self._backlog) > self._settings.hop_frames:
            self._pair.push_activity(self._backlog.pop_oldest(1))

    def _begin_session(self, session: str) -> None:
        self._publisher.begin_session(session)
        if self._settings.deterministic:
            self._pair = InversionPair(self._checkpoint, self._settings)
        n_windows = _DETERMINISTIC_WINDOWS if self._settings.deterministic else 1
        self._backlog = Backlog(n_windows * self._settings.window_frames)
        self._statistics = HopStatistics(self._hop_s)

    def _receive_messages(self) -> list[tuple[messages.PublishedMessage, Array]]:
        """Wait up to `_POLL_S` if there is no hop to do, then return what arrived."""
        if len(self._backlog) < self._settings.hop_frames:
            self._subscriber.wait(_POLL_S)
        return self._subscriber.receive_pending()

    def _handle_message(
        self, message: messages.PublishedMessage, payload: Array
    ) -> None:
        if isinstance(message, messages.Activity):
            if message.session != self._publisher.session:
                self._begin_session(message.session)
                self._quality.begin_session()
                self._stimulus_responses.begin_session()
                self._pair.begin_session()
            self._require_neurons(len(payload))
            self._backlog.push(QueuedActivity(message, payload))
            self._stimulus_responses.add_activity(message)
        elif isinstance(message, messages.Calibration):
            self._take_newer_encoder(message)
        elif isinstance(message, messages.AlignedStimulus):
            self._quality.add_stimulus(message.encoder_frame, payload)
            self._stimulus_responses.add_stimulus(message.encoder_frame, payload)

    def _require_neurons(self, n_received: int) -> None:
        n_neurons = self._checkpoint.encoder.n_neurons
        if n_received != n_neurons:
            raise UserError(
                f"received activity of {n_received} neurons, but the checkpoint has "
                f"{n_neurons}; use the masks that it was trained with"
            )

    def _process_hop(self) -> None:
        started = time.monotonic()
        if not self._settings.deterministic:
            self._skip_late_hops()
        queued = self._backlog.pop_oldest(self._settings.hop_frames)
        newest = queued[-1].header
        self._pair.push_activity(queued)
        n_steps = self._take_steps(self._pair.live, started)
        movie = self._pair.live.movie()
        information = self._pair.live.information_fraction()
        self._results.send_movie(newest, movie, information, n_steps)
        self._statistics.count_movie(newest)
        self._update_spread()
        self._measure_quality(newest.encoder_frame, movie)
        self._results.send_notices(self._pair.pop_notices())
        took_s = time.monotonic() - started
        self._budget.end_hop(took_s)
        self._statistics.count_hop(newest, n_steps, took_s)

    def _skip_late_hops(self) -> None:
        """Move the windows on without steps while too many hops are queued."""
        hop = self._settings.hop_frames
        while len(self._backlog) >= (_MAX_BACKLOG_HOPS + 1) * hop:
            skipped = self._backlog.pop_oldest(hop)
            self._pair.push_activity(skipped)
            self._statistics.count_skipped_hop(skipped[-1].header)

    def _measure_quality(self, encoder_frame: int, movie: Array) -> None:
        """Add the hop to the metrics of movie and null; publish them now and then."""
        hop_frames = self._settings.hop_frames
        answer = self._stimulus_responses.predict(
            encoder_frame + 1 - len(movie), hop_frames
        )
        window = _estimate_window(self._pair.live, encoder_frame, movie, answer)
        self._quality.add_hop(window)
        null = self._pair.null
        if null is not None:
            self._take_steps(null, time.monotonic())
            self._quality.add_null_hop(
                _estimate_window(null, encoder_frame, null.movie(), answer)
            )
        n_hops = self._statistics.n_hops
        if n_hops % QUALITY_EVERY_HOPS == 0:
            self._results.send_quality(window, self._quality, n_hops)
            self._results.send_spread(encoder_frame, self._pair.compute_sd())

    def _update_spread(self) -> None:
        """Take the steps of the posterior sample; they are part of the budget."""
        began = time.monotonic()
        self._pair.update_spread()
        self._spread_s = time.monotonic() - began
        self._budget.add_steps(self._spread_s)

    def _take_steps(self, inversion: LiveInversion, started: float) -> int:
        """Take steps within the budget since `started`; live and null share the hop.

        What the posterior sample needed in the last hop is left for it.
        """
        share = 0.5 if self._pair.null is not None else 1.0
        began = time.monotonic()
        n_steps = self._pair.take_steps(
            inversion, started + share * (self._budget.steps_s - self._spread_s)
        )
        self._budget.add_steps(time.monotonic() - began)
        return n_steps


def _estimate_window(
    inversion: LiveInversion,
    encoder_frame: int,
    movie: Array,
    stimulus_response: Array | None,
) -> WindowEstimate:
    return WindowEstimate(
        encoder_frame,
        movie,
        inversion.predict_activity().numpy(),
        inversion.activity.numpy(),
        stimulus_response,
    )


def run_inverter(settings: Settings, daemon: ParentProcess) -> None:
    """Run the inverter until its daemon exits."""
    process = InverterProcess(settings, daemon)
    try:
        process.run()
    finally:
        process.close()
