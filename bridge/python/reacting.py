"""Change the stimulus when a rule of rtrecon fires. Needs pyzmq, not rtrecon.

    python reacting.py lost               gratings in a PsychoPy window
    python reacting.py lost --no-window   to try it without a screen

`lost` is the name of a rule in the daemon's settings, [[closed_loop.rules]]. Each time
it fires, the gratings turn; when it is released, the screen is grey again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import zmq
import zmq.auth

TURN_DEG = 45.0

Flip = Callable[[float | None], None]  # shows gratings at an angle, or grey


class EventReceiver:
    """Receives the events of rules; never waits."""

    def __init__(self, address: str, keys: Path | None = None) -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        if keys:  # a folder from `rtrecon keys`
            pair = zmq.auth.load_certificate(keys / "client.key_secret")
            self._socket.curve_publickey, self._socket.curve_secretkey = pair
            server, _ = zmq.auth.load_certificate(keys / "server.key")
            self._socket.curve_serverkey = server
        self._socket.setsockopt(zmq.SUBSCRIBE, b"event")
        self._socket.connect(address)

    def receive_events(self) -> Iterator[dict]:
        """Yield the headers of the events that have arrived."""
        while self._socket.poll(0):
            _, header, _ = self._socket.recv_multipart()
            yield json.loads(header)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)


class Gratings:
    """What to show: an angle in degrees, or None for grey; set by one rule."""

    def __init__(self, rule: str) -> None:
        self.angle_deg: float | None = None
        self.turns = 0
        self._rule = rule

    def update(self, event: dict) -> None:
        """Change the angle for an event; events of a dry run change nothing."""
        if event["rule"] != self._rule or event["dry_run"]:
            return
        if event["name"] == "rule_fired":
            self.angle_deg = self.turns * TURN_DEG % 180
            self.turns += 1
        elif event["name"] == "rule_released":
            self.angle_deg = None


def play(
    receiver: EventReceiver, gratings: Gratings, flip: Flip, seconds: float
) -> None:
    """Show gratings frame by frame, as the rule says; print each change."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        events = list(receiver.receive_events())
        before = gratings.angle_deg
        for event in events:
            gratings.update(event)
        flip(gratings.angle_deg)
        if gratings.angle_deg != before:
            delay_ms = (time.time() - events[-1]["t"]) * 1e3
            angle = gratings.angle_deg
            name = "grey" if angle is None else f"{angle:g} degrees"
            print(f"{name}, {delay_ms:.0f} ms after the event", flush=True)


def psychopy_window() -> Flip:
    """Open a full-screen PsychoPy window."""
    from psychopy import core, visual

    window = visual.Window(fullscr=True, units="norm", color=0)
    grating = visual.GratingStim(window, tex="sin", size=2.9, sf=6)
    clock = core.Clock()

    def flip(angle_deg: float | None) -> None:
        if angle_deg is not None:
            grating.ori = angle_deg
            grating.phase = 2 * clock.getTime()  # cycles: two per second
            grating.draw()
        window.flip()  # returns as the image appears

    return flip


def main() -> None:
    """React to the rule for the given time."""
    parser = argparse.ArgumentParser(
        description="Change gratings when a rule of rtrecon fires."
    )
    parser.add_argument("rule", help="name of the rule in the daemon's settings")
    parser.add_argument("--address", default="tcp://127.0.0.1:5562")
    parser.add_argument("--keys", type=Path, help="folder from `rtrecon keys`")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--no-window", action="store_true", help="open no window")
    options = parser.parse_args()
    flip = (lambda _: time.sleep(1 / 60)) if options.no_window else psychopy_window()
    receiver = EventReceiver(options.address, options.keys)
    gratings = Gratings(options.rule)
    play(receiver, gratings, flip, options.seconds)
    print(f"{gratings.turns} reactions")
    receiver.close()


if __name__ == "__main__":
    main()
