"""Send the stimulus to rtrecon. Needs numpy and pyzmq, not rtrecon.

    python stimulus.py movie.npy --rate 30              in a PsychoPy window
    python stimulus.py movie.npy --rate 30 --no-window  to try it without a screen
    python stimulus.py *.npy                            several, one after the other

movie.npy holds uint8 frames (n, height, width). In your own experiment, make a
`StimulusSender` and call `send_image` right after each `win.flip()`; see `play` below.
Of several movies, the daemon may choose the next one by an event `next_clip`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from reacting import EventReceiver
from sender import MessageSender

Flip = Callable[[np.ndarray], float]  # shows an image; returns its time by time.time()


class StimulusSender(MessageSender):
    """Sends each image with the time of its appearance.

    `clip`: name of the movie that is shown now.
    """

    def __init__(self, clip: str, address: str, keys: Path | None = None) -> None:
        super().__init__(address, keys)
        self.clip = clip

    def send_image(self, image: np.ndarray, index: int, shown_s: float) -> None:
        """Send an image, uint8 (height, width), shown at `shown_s` by time.time().

        Keep it small: the encoder uses a few dozen pixels.
        """
        header = {"type": "stimulus", "clip": self.clip, "index": index}
        header |= {"t_send": shown_s, "shape": image.shape, "dtype": "uint8"}
        self.send(header, np.ascontiguousarray(image, np.uint8))


def play(movie: np.ndarray, sender: StimulusSender, flip: Flip, rate_hz: float) -> None:
    """Show a movie (n, height, width) frame by frame and send each frame."""
    began_s = time.monotonic()
    for index, image in enumerate(movie):
        time.sleep(max(0.0, began_s + index / rate_hz - time.monotonic()))
        sender.send_image(image, index, flip(image))


def choose_next(
    pending: list[str], names: Iterable[str], events: Iterable[dict]
) -> str:
    """Take the next movie out of those that are pending, or the one that is asked for.

    names: of all movies. events: those of the daemon that have arrived.
    """
    for event in events:
        if event["name"] == "next_clip" and event.get("clip") in names:
            name = event["clip"]
            if name in pending:
                pending.remove(name)
            pending.insert(0, name)
    return pending.pop(0)


def psychopy_window() -> Flip:
    """Open a full-screen PsychoPy window."""
    from psychopy import visual

    window = visual.Window(fullscr=True, units="norm", color=0)
    picture = visual.ImageStim(window, size=2)

    def flip(image: np.ndarray) -> float:
        picture.image = image[::-1] / 127.5 - 1  # PsychoPy: -1 to 1, bottom row first
        picture.draw()
        window.flip()  # returns as the image appears
        return time.time()

    return flip


def main() -> None:
    """Play .npy files."""
    parser = argparse.ArgumentParser(
        description="Show a movie and send each frame to rtrecon."
    )
    parser.add_argument(
        "movies", type=Path, nargs="+", help=".npy, uint8 (n, height, width)"
    )
    parser.add_argument("--address", default="tcp://127.0.0.1:5560")
    parser.add_argument("--publish", default="tcp://127.0.0.1:5562")
    parser.add_argument("--keys", type=Path, help="folder from `rtrecon keys`")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second")
    parser.add_argument(
        "--wait", type=float, default=5.0, help="seconds to wait for a daemon"
    )
    parser.add_argument("--no-window", action="store_true", help="open no window")
    options = parser.parse_args()
    movies = {}
    for path in options.movies:
        movie = np.load(path, mmap_mode="r", allow_pickle=False)
        if movie.ndim != 3 or movie.dtype != np.uint8:
            parser.error(f"{path} is {movie.dtype} {list(movie.shape)}")
        movies[path.stem] = movie
    pending = list(movies)
    sender = StimulusSender(pending[0], options.address, options.keys)
    receiver = EventReceiver(options.publish, options.keys)
    if not sender.wait_for_daemon(options.wait):
        print(f"no daemon at {options.address} yet; the movie is shown anyway")
    flip = (lambda image: time.time()) if options.no_window else psychopy_window()
    while pending:
        sender.clip = choose_next(pending, movies, receiver.receive_events())
        play(movies[sender.clip], sender, flip, options.rate)
    receiver.close()
    print(f"{sender.n_sent} stimulus frames sent, {sender.n_dropped} lost")
    sender.close()


if __name__ == "__main__":
    main()
