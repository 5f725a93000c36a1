"""Which form an encoder gets: convolutional, compact, or whichever predicts better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.encoder.convolutional.feature_network import load_shared_features
from rtrecon.training.compact import fit
from rtrecon.training.convolutional.readout_fit import fit_readout
from rtrecon.training.score import average_correlation, compute_correlation

EncoderForm = Literal["auto", "convolutional", "compact"]


@dataclass(frozen=True)
class FittedEncoder:
    """encoder: on the CPU. history: of the epochs of a compact one; else empty.

    validation_r: mean r on the validation frames, by form, of all that were fitted.
    """

    encoder: CompactEncoder | ConvolutionalEncoder
    history: list[fit.EpochProgress]
    validation_r: dict[str, float] = field(default_factory=dict)

    def describe_choice(self) -> str:
        """Return a sentence on which form was chosen, and why."""
        ranked = sorted(self.validation_r.items(), key=lambda item: -item[1])
        (best, best_r), (other, other_r) = ranked
        return (
            f"the {best} encoder is saved: it predicts validation frames with r = "
            f"{best_r:.3f}, the {other} one with {other_r:.3f}"
        )


def fit_convolutional(
    job: fit.FitJob, on_progress: Callable[[float, str], object]
) -> FittedEncoder:
    """Fit the readouts of the feature network; takes minutes, and no epochs."""
    encoder = fit_readout(load_shared_features(), job.training, on_progress)
    r = average_correlation(compute_correlation(encoder, job.validation))
    on_progress(1.0, f"validation r {r:.3f}")
    return FittedEncoder(encoder, [], {"convolutional": r})


def fit_compact(
    job: fit.FitJob, on_epoch: Callable[[fit.EpochProgress], None]
) -> FittedEncoder:
    """Train the neurons' own filters, epoch by epoch."""
    fitted = fit.fit_encoder(job, on_epoch)
    r = max((progress.validation_r for progress in fitted.history), default=0.0)
    return FittedEncoder(fitted.encoder, fitted.history, {"compact": r})


def choose_better(first: FittedEncoder, second: FittedEncoder) -> FittedEncoder:
    """Return the one that predicts validation frames better, with the r of both."""
    scores = first.validation_r | second.validation_r
    ranked = sorted((first, second), key=lambda each: -max(each.validation_r.values()))
    return FittedEncoder(ranked[0].encoder, ranked[0].history, scores)
