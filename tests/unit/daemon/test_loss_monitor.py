"""Losses that follow each other give two sentences, not one for each loss."""

from __future__ import annotations

from rtrecon.daemon.ingest.result import IngestAction, IngestResult
from rtrecon.daemon.loss_monitor import EPISODE_END_S, LossMonitor


def frame(*, network: int = 0, source: int = 0) -> IngestResult:
    return IngestResult(
        IngestAction.FRAME, lost_in_network=network, lost_at_source=source
    )


def test_a_single_loss_is_reported_once_and_is_no_condition():
    monitor = LossMonitor()
    assert monitor.count_message(frame(), 0.0) == []
    notices = monitor.count_message(frame(source=1), 1.0)
    assert notices == [("1 frame was lost before the sender", 1)]
    assert monitor.list_conditions() == {}
    assert monitor.take_ended(1.0 + EPISODE_END_S) == []


def test_seventy_two_losses_are_one_sentence_with_share_and_duration():
    monitor = LossMonitor()
    notices = []
    for i in range(72):
        notices += monitor.count_message(frame(source=1), float(i))
        for j in range(9):
            notices += monitor.count_message(frame(), i + j / 10)
    assert notices == [("1 frame was lost before the sender", 1)]
    # Of ten frames that the microscope made, nine others and the next one arrived.
    sentence = "72 frames (9.1%) were lost before the sender within 1 min 11 s"
    assert monitor.list_conditions() == {"frames lost": sentence}
    assert monitor.take_ended(71.0 + EPISODE_END_S - 0.1) == []
    assert monitor.take_ended(71.0 + EPISODE_END_S) == [(sentence, 72)]
    assert monitor.list_conditions() == {}


def test_network_and_source_are_counted_separately():
    monitor = LossMonitor()
    first = monitor.count_message(frame(network=3, source=2), 0.0)
    assert first == [
        ("3 messages were lost in the network", 3),
        ("2 frames were lost before the sender", 2),
    ]
    auxiliary = IngestResult(IngestAction.AUXILIARY, lost_in_network=1)
    assert monitor.count_message(auxiliary, 1.0) == []
    assert list(monitor.list_conditions().values()) == [
        "4 messages (66.7%) were lost in the network within 1.0 s"
    ]


def test_a_later_loss_begins_a_new_episode():
    monitor = LossMonitor()
    monitor.count_message(frame(source=1), 0.0)
    monitor.take_ended(EPISODE_END_S)
    assert monitor.count_message(frame(source=2), 60.0) == [
        ("2 frames were lost before the sender", 2)
    ]
