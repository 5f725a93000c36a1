"""Predicted against observed: the right frames meet, the right neurons are shown."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.held_out import ENOUGH_FRAMES, RANKS, HeldOutTraces
from rtrecon.protocol.messages import HeldOut

NEURONS = [3, 0, 7, 9, 5]
CHUNK, LAG = 15, 30  # frames predicted at a time, and how old the first of them is
NOISE = {3: 0.1, 0: 3.0, 7: 0.5, 9: 1.0, 5: 30.0}  # s.d. of what neurons do beside


def after(n_frames: int, lost: tuple[int, ...] = ()) -> HeldOutTraces:
    """Traces of a world in which activity is what is predicted, and noise."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(n_frames, len(NEURONS)))
    traces = HeldOutTraces(NEURONS)
    for index in range(n_frames):
        activity = np.full(10, np.nan)
        activity[NEURONS] = truth[index] + [
            NOISE[neuron] * rng.normal() for neuron in NEURONS
        ]
        activity[list(lost)] = np.nan
        traces.observe(index, activity)
        first = index - LAG
        if first >= 0 and first % CHUNK == 0:
            traces.predict(
                HeldOut(first, NEURONS, truth[first : first + CHUNK].tolist())
            )
    return traces


def test_neurons_of_each_rank_are_shown_with_what_is_known_of_both():
    shown = after(600).traces()
    assert [trace.neuron for trace in shown] == [3, 7, 9, 0]
    assert len(shown) == len(RANKS)
    r = [trace.r for trace in shown]
    assert r == sorted(r, reverse=True)
    assert r[0] == pytest.approx(1 / np.sqrt(1 + NOISE[3] ** 2), abs=0.02)
    assert r[2] == pytest.approx(1 / np.sqrt(1 + NOISE[9] ** 2), abs=0.1)
    alike = np.corrcoef(shown[0].observed[-200:], shown[0].predicted[-200:])[0, 1]
    assert alike == pytest.approx(r[0], abs=0.02)


@pytest.mark.parametrize("n_frames", [0, LAG, ENOUGH_FRAMES + LAG - CHUNK])
def test_too_little_says_nothing(n_frames):
    assert after(n_frames).traces() == []


def test_a_neuron_that_left_the_field_is_left_out():
    assert after(600, lost=(3,)).traces()[0].r < 0.95
    assert after(600, lost=tuple(NEURONS)).traces() == []


def test_neurons_change_places_only_now_and_then():
    traces = after(600)
    before = traces.traces()
    worst = np.zeros(10)
    for index in range(600, 660):
        traces.observe(index, worst)
        traces.predict(HeldOut(index, NEURONS, [[float(index)] * 5]))
    after_a_while = traces.traces()
    assert after_a_while[0].r < before[0].r
    assert [t.neuron for t in after_a_while] == [t.neuron for t in before]


def test_activity_of_other_neurons_than_told_is_left_out():
    traces = HeldOutTraces([40])
    traces.observe(0, np.zeros(10))
    traces.predict(HeldOut(0, [40], [[1.0]]))
    assert traces.traces() == []
