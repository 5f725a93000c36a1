"""Subject `sensorium:FILE`: real V1 neurons, recorded and fitted by others.

The file is a baseline model of SENSORIUM 2022 that the user downloads
(github.com/sinzlab/sensorium, MIT). It predicts mean responses to still images; kernels
of the LGN add time. The eyes stay still: the shifter of the models with behavior is not
used.
"""

from __future__ import annotations

import numpy as np

from rtrecon.simulate.subjects.network_subject import (
    NetworkSubject,
    make_network_subject,
)
from rtrecon.simulate.subjects.sensorium_network import activate, read_sensorium_file
from rtrecon.simulate.subjects.subject import SubjectRequest


def make_subject(request: SubjectRequest) -> NetworkSubject:
    """Choose neurons of the file at random; UserError where it cannot be used."""
    assert request.file is not None  # the registry requires it
    core, readout = read_sensorium_file(request.file)
    options = request.options
    if options.spread is not None:
        readout = readout.spread_out(options.spread)
    chosen = readout.choose(
        options.n_neurons, np.random.default_rng([options.mouse_seed, 2022, 1])
    )
    return make_network_subject(request, core, chosen, activate)
