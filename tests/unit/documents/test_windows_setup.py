"""The set-up script for Windows agrees with the settings. (No Windows runs it here.)"""

from __future__ import annotations

import re

from rtrecon.config import NetworkSettings
from tests.support.paths import BRIDGE

SCRIPT = (BRIDGE / "windows" / "rig-setup.ps1").read_bytes()
TEXT = SCRIPT.decode("ascii")  # Windows PowerShell would mistake other characters


def test_the_firewall_rule_opens_the_ports_of_the_daemon_and_no_others():
    first, last = (
        int(re.search(rf"\${name} = (\d+)", TEXT)[1])
        for name in ("FirstPort", "LastPort")
    )
    network = NetworkSettings()
    addresses = (network.frames, network.tcp, network.publish, network.control)
    ports = sorted(int(address.rpartition(":")[2]) for address in addresses)
    assert ports == list(range(first, last + 1))
    # What workers send to the daemon never leaves this computer.
    assert int(network.results.rpartition(":")[2]) not in ports
    assert "-RemoteAddress $RemoteAddress" in TEXT
    assert "-Profile Private" in TEXT


def test_every_option_of_the_script_is_documented():
    options = re.findall(r"^    \[string\]\$(\w+)", TEXT, re.M)
    described = re.findall(r"^\.PARAMETER (\w+)", TEXT, re.M)
    page = (BRIDGE.parent / "docs" / "rig" / "windows.md").read_text(encoding="utf-8")
    assert options == described
    assert all(f"`-{option}`" in page for option in options)


def test_brackets_and_quotes_of_the_script_are_closed():
    code = re.sub(r"<#.*?#>|#[^\n]*|\"[^\"\n]*\"|'[^'\n]*'", "", TEXT, flags=re.S)
    assert not re.search("[\"']", code)
    open_brackets: list[str] = []
    for character in code:
        if character in "({[":
            open_brackets.append(character)
        elif character in ")}]":
            assert open_brackets.pop() + character in ("()", "{}", "[]")
    assert open_brackets == []
