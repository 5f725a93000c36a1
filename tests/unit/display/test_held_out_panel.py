"""Held-out traces: predictions meet the right frames, and ranks the right neurons."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.panel_states.held_out import MIN_FRAMES, RANKS, HeldOutTraces
from rtrecon.protocol.messages import HeldOutPrediction

NEURONS = [3, 0, 7, 9, 5]
CHUNK, LAG = 15, 30  # frames per prediction, and the age of the first of them
NOISE_SD = {3: 0.1, 0: 3.0, 7: 0.5, 9: 1.0, 5: 30.0}  # recorded = predicted + noise


def simulate(n_frames: int, lost: tuple[int, ...] = ()) -> HeldOutTraces:
    """Traces of neurons whose recorded activity is the prediction plus noise."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(n_frames, len(NEURONS)))
    traces = HeldOutTraces(NEURONS)
    for index in range(n_frames):
        activity = np.full(10, np.nan)
        activity[NEURONS] = truth[index] + [
            NOISE_SD[neuron] * rng.normal() for neuron in NEURONS
        ]
        activity[list(lost)] = np.nan
        traces.add_activity(index, activity)
        first = index - LAG
        if first >= 0 and first % CHUNK == 0:
            predicted = truth[first : first + CHUNK].tolist()
            traces.add_prediction(HeldOutPrediction(first, NEURONS, predicted))
    return traces


def test_each_rank_shows_its_neuron_with_both_traces():
    ranked = simulate(600).ranked_traces()
    assert [trace.neuron for trace in ranked] == [3, 7, 9, 0]
    assert len(ranked) == len(RANKS)
    r = [trace.r for trace in ranked]
    assert r == sorted(r, reverse=True)
    assert r[0] == pytest.approx(1 / np.sqrt(1 + NOISE_SD[3] ** 2), abs=0.02)
    assert r[2] == pytest.approx(1 / np.sqrt(1 + NOISE_SD[9] ** 2), abs=0.1)
    best = ranked[0]
    recomputed = np.corrcoef(best.recorded[-200:], best.predicted[-200:])[0, 1]
    assert recomputed == pytest.approx(r[0], abs=0.02)


@pytest.mark.parametrize("n_frames", [0, LAG, MIN_FRAMES + LAG - CHUNK])
def test_with_too_few_frames_no_trace_is_shown(n_frames):
    assert simulate(n_frames).ranked_traces() == []


def test_a_neuron_without_recorded_activity_is_left_out():
    assert simulate(600, lost=(3,)).ranked_traces()[0].r < 0.95
    assert simulate(600, lost=tuple(NEURONS)).ranked_traces() == []


def test_the_ranking_changes_only_every_few_seconds():
    traces = simulate(600)
    before = traces.ranked_traces()
    silent = np.zeros(10)
    for index in range(600, 660):
        traces.add_activity(index, silent)
        traces.add_prediction(HeldOutPrediction(index, NEURONS, [[float(index)] * 5]))
    after = traces.ranked_traces()
    assert after[0].r < before[0].r
    assert [t.neuron for t in after] == [t.neuron for t in before]


def test_a_prediction_for_neurons_that_do_not_exist_is_ignored():
    traces = HeldOutTraces([40])
    traces.add_activity(0, np.zeros(10))
    traces.add_prediction(HeldOutPrediction(0, [40], [[1.0]]))
    assert traces.ranked_traces() == []
