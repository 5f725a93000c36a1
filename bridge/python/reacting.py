"""Change what is shown when a rule of rtrecon fires. Needs pyzmq, not rtrecon.

    python reacting.py lost               gratings in a PsychoPy window
    python reacting.py lost --no-window   to try it without a screen

`lost` is the name of a rule in the daemon's settings, [[react.rules]]. Each time that
it fires, the gratings turn; when it is over, the screen is grey until it fires again.
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

Flip = Callable[[float | None], None]  # shows gratings of an angle, or grey


class Ear:
    """Hears what rules do; never waits."""

    def __init__(self, address: str, keys: Path | None = None) -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        if keys:  # a folder from `rtrecon keys`
            own = zmq.auth.load_certificate(keys / "client.key_secret")
            self._socket.curve_publickey, self._socket.curve_secretkey = own
            server, _ = zmq.auth.load_certificate(keys / "server.key")
            self._socket.curve_serverkey = server
        self._socket.setsockopt(zmq.SUBSCRIBE, b"event")
        self._socket.connect(address)

    def events(self) -> Iterator[dict]:
        """Yield the headers of all events that came since this was last asked."""
        while self._socket.poll(0):
            _, header, _ = self._socket.recv_multipart()
            yield json.loads(header)

    def close(self) -> None:
        """Let go."""
        self._socket.close(linger=0)
        zmq.Context.instance().term()


class Gratings:
    """What to show: an angle in degrees, or None for grey; one rule decides."""

    def __init__(self, rule: str) -> None:
        self.angle_deg: float | None = None
        self.turns = 0
        self._rule = rule

    def hear(self, event: dict) -> None:
        """Take an event in. One of a dry run changes nothing, as nothing should."""
        if event["rule"] != self._rule or event["dry_run"]:
            return
        if event["name"] == "react":
            self.angle_deg = self.turns * TURN_DEG % 180
            self.turns += 1
        elif event["name"] == "release":
            self.angle_deg = None


def play(ear: Ear, gratings: Gratings, flip: Flip, seconds: float) -> None:
    """Show gratings, frame by frame, as the rule says; tell of each change."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        heard = list(ear.events())
        before = gratings.angle_deg
        for event in heard:
            gratings.hear(event)
        flip(gratings.angle_deg)
        if gratings.angle_deg != before:
            waited_ms = (time.time() - heard[-1]["t"]) * 1e3
            shown = gratings.angle_deg
            name = "grey" if shown is None else f"{shown:g} degrees"
            print(f"{name}, {waited_ms:.0f} ms after the event", flush=True)


def psychopy_window() -> Flip:
    """Open a PsychoPy window over the whole screen."""
    from psychopy import core, visual

    window = visual.Window(fullscr=True, units="norm", color=0)
    grating = visual.GratingStim(window, tex="sin", size=2.9, sf=6)
    clock = core.Clock()

    def flip(angle_deg: float | None) -> None:
        if angle_deg is not None:
            grating.ori = angle_deg
            grating.phase = 2 * clock.getTime()  # cycles: two a second
            grating.draw()
        window.flip()  # returns as the image appears

    return flip


def main() -> None:
    """React until the time is over."""
    parser = argparse.ArgumentParser(description="Show what a rule of rtrecon says.")
    parser.add_argument("rule", help="its name in the daemon's settings")
    parser.add_argument("--address", default="tcp://127.0.0.1:5562")
    parser.add_argument("--keys", type=Path, help="folder from `rtrecon keys`")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--no-window", action="store_true", help="show nothing")
    options = parser.parse_args()
    flip = (lambda _: time.sleep(1 / 60)) if options.no_window else psychopy_window()
    ear, gratings = Ear(options.address, options.keys), Gratings(options.rule)
    play(ear, gratings, flip, options.seconds)
    print(f"{gratings.turns} reactions")
    ear.close()


if __name__ == "__main__":
    main()
