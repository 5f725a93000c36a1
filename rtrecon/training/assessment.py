"""Says in sentences how good a trained encoder is, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rtrecon.encoder.activity_decoder import ActivityDecoder

# Of mean r on clips that training did not see. Below the first, the activity does not
# follow the movie at all; below the second, a reconstruction is blurred.
_MIN_RELATED_R, _MIN_GOOD_R = 0.03, 0.1
_MIN_GOOD_FRACTION = 0.5  # of the single-trial ceiling
_CAUSES = (
    "the clock of the stimulus computer (frames of the movie are paired with the wrong "
    "activity), the masks (they do not lie on these neurons), or the screen (it was "
    "off, covered or showed something else)"
)


def assess_decoder(decoder: ActivityDecoder) -> str:
    """Return a sentence on whether the live inversion will use a new decoder."""
    found = (
        f"the linear decoder changes the pixel correlation of live movies by "
        f"{decoder.gain:+.3f} on clips that training did not see"
    )
    if decoder.is_helpful:
        return f"{found}: the inversion uses it (inversion.prior = 'auto')"
    return f"{found}: the inversion does not use it, unless inversion.prior = 'decoder'"


def assess_encoder(metadata: dict[str, Any]) -> Iterator[str]:
    """Yield sentences about a new encoder, from the metadata of its checkpoint."""
    r = float(metadata["validation_r"])
    fraction = metadata.get("fraction_of_ceiling")
    found = f"the encoder reaches r = {r:.3f} on clips that training did not see"
    if fraction is not None:
        found += f", {fraction:.0%} of what noise allows"
    if r < _MIN_RELATED_R:
        yield f"{found}: no movie can be reconstructed with it"
        yield (
            f"an r near 0 means that the activity does not follow the movie; check "
            f"{_CAUSES}"
        )
        return
    is_good = r >= _MIN_GOOD_R if fraction is None else fraction >= _MIN_GOOD_FRACTION
    if is_good:
        yield f"{found}: good enough to reconstruct movies"
        return
    yield (
        f"{found}: movies will be blurred; record more minutes, or more neurons that "
        "respond to the stimulus"
    )
