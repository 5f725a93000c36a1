"""A simulated mouse that takes a tenth of the time of the real simulator.

`make_imaged_mouse` calibrates its neurons on 3000 frames of natural movies. Tests that
do not look at what the neurons prefer need a tenth of them.
"""

from __future__ import annotations

from rtrecon.simulate.imaged_mouse import ImagedMouse
from rtrecon.simulate.microscope import make_imaged_field
from rtrecon.simulate.movie import make_natural_movie
from rtrecon.simulate.subjects.simulated import make_simulated_mouse
from rtrecon.simulate.subjects.subject import SubjectOptions

CALIBRATION_FRAMES = 300


def make_small_mouse(n_neurons: int, side_px: int, seed: int) -> ImagedMouse:
    """Return a mouse and its field of view; the seed determines everything."""
    calibration = make_natural_movie(CALIBRATION_FRAMES, seed=seed)
    return ImagedMouse(
        make_simulated_mouse(
            SubjectOptions(n_neurons=n_neurons, mouse_seed=seed), calibration
        ),
        make_imaged_field(n_neurons, side_px, seed),
    )
