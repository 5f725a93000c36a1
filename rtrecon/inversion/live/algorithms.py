"""Live inversion algorithms by the name that `inversion.algorithm` chooses."""

from __future__ import annotations

from rtrecon.core.errors import UserError
from rtrecon.inversion.live.live_inversion import (
    LiveInversion,
    LiveInversionFactory,
    LiveInversionInputs,
)
from rtrecon.inversion.live.map_inversion import MapInversion

ALGORITHMS: dict[str, LiveInversionFactory] = {
    "map": MapInversion.from_inputs,
}


def create_live_inversion(inputs: LiveInversionInputs) -> LiveInversion:
    """Create the algorithm that the settings name; UserError if there is none."""
    name = inputs.settings.algorithm
    if name not in ALGORITHMS:
        raise UserError(
            f"inversion.algorithm = '{name}' is not known; choose one of: "
            f"{', '.join(ALGORITHMS)}"
        )
    return ALGORITHMS[name](inputs)
