"""The keys: every key has one action, and a new reference needs two presses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtrecon.display import commands
from rtrecon.display.commands import Commands, format_key_help
from rtrecon.display.saving import FileSaver
from rtrecon.display.state import DisplayState
from rtrecon.display.view import View


class Requests:
    """Stores the requests that were sent; `is_connected` = a daemon is there."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_connected = True

    def send_request(self, op: str, **fields: Any) -> bool:
        if self.is_connected:
            self.sent.append(op)
        return self.is_connected


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def made(requests, notices, tmp_path: Path) -> Commands:
    return Commands(
        DisplayState(),
        View(),
        requests,
        FileSaver(tmp_path),
        notices.append,
        lambda: None,
    )


def test_a_new_reference_is_requested_only_by_the_second_press(made, requests, notices):
    made.request_reference()
    assert requests.sent == []
    assert "Press R again" in notices[-1]
    made.request_reference()
    assert requests.sent == ["reference"]
    made.request_reference()  # a third press starts over
    assert requests.sent == ["reference"]


def test_a_second_press_that_comes_too_late_does_not_confirm(
    made, requests, monkeypatch
):
    monkeypatch.setattr(commands, "CONFIRM_S", 0.0)
    made.request_reference()
    made.request_reference()
    assert requests.sent == []


def test_a_request_without_a_daemon_is_reported(made, requests, notices):
    requests.is_connected = False
    made.request_reference()
    made.request_reference()
    assert "the daemon does not answer" in notices[-1]


def test_every_key_with_a_name_is_listed_in_the_help(made):
    bindings = made.key_bindings()
    text = format_key_help(bindings)
    for binding in bindings:
        assert binding.key_names in text
        assert binding.description in text


def test_no_key_has_two_actions(made):
    keys = [binding.key for binding in made.key_bindings()]
    assert len(keys) == len(set(keys))
