"""The log of raw messages: exact, readable up to damage, bounded, never blocking."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrecon.session import message_log
from rtrecon.session.message_log import (
    MessageLog,
    measure_log,
    read_logged_messages,
)

CLOSE_TIMEOUT_S = 10.0
PAYLOADS = [b"a" * 10, b"", b"b" * 20]


def raise_failure(error: Exception) -> None:
    raise AssertionError(error)


def write_log(path: Path, payloads: list[bytes]) -> None:
    log = MessageLog(path, raise_failure)
    for number, payload in enumerate(payloads):
        log.append([f"{number}".encode(), payload], float(number))
    assert log.close(CLOSE_TIMEOUT_S)
    assert log.n_lost == 0


def test_messages_are_read_again_byte_for_byte(tmp_path):
    payloads = [b"", b"\0" * 1000, b"RTRM"]
    write_log(tmp_path / "log", payloads)
    messages = list(read_logged_messages(tmp_path / "log"))
    assert [message.payload for message in messages] == payloads
    assert [message.header for message in messages] == [b"0", b"1", b"2"]
    assert [message.t_received_s for message in messages] == [0.0, 1.0, 2.0]


@given(cut=st.integers(0, 3 * 26 + 30))
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
def test_a_file_cut_anywhere_is_read_up_to_there(tmp_path, cut):
    whole_file, path = tmp_path / "whole", tmp_path / "cut"
    if not whole_file.exists():
        write_log(whole_file, PAYLOADS)
    path.write_bytes(whole_file.read_bytes()[:cut])
    messages = list(read_logged_messages(path))
    assert [message.payload for message in messages] == PAYLOADS[: len(messages)]
    assert [message.header for message in messages] == [b"0", b"1", b"2"][
        : len(messages)
    ]
    assert measure_log(path)[0] <= cut


def test_the_size_of_an_intact_log_is_that_of_its_messages(tmp_path):
    write_log(tmp_path / "log", PAYLOADS)
    assert measure_log(tmp_path / "log") == ((tmp_path / "log").stat().st_size, 2.0)


def test_messages_that_exceed_the_queue_are_lost_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(message_log, "MAX_QUEUED_BYTES", 1000)
    log = MessageLog(tmp_path / "log", raise_failure)
    log.append([b"h", b"\0" * 2000], 0.0)  # larger than the whole queue
    log.append([b"h", b"\0" * 500], 1.0)
    assert log.close(CLOSE_TIMEOUT_S)
    assert log.n_lost == 1
    messages = list(read_logged_messages(tmp_path / "log"))
    assert [message.t_received_s for message in messages] == [1.0]


def test_a_failing_disk_is_reported_once(tmp_path):
    failures: list[Exception] = []
    log = MessageLog(tmp_path / "no such folder" / "log", failures.append)
    assert log.close(CLOSE_TIMEOUT_S)
    log.append([b"h", b""], 0.0)
    assert (len(failures), log.n_lost) == (1, 1)
