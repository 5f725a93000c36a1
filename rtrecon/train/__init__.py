"""Training: from a session, simulated, recorded or of Sensorium, to a checkpoint."""

from rtrecon.encoder.place import join
from rtrecon.train.fitting import Start
from rtrecon.train.material import CLIP_FRAMES
from rtrecon.train.recorded import train_recorded
from rtrecon.train.sensorium import train_sensorium
from rtrecon.train.simulated import (
    Acquired,
    SimulatedTraining,
    acquire,
    train_on,
    train_simulated,
)

__all__ = [
    "CLIP_FRAMES",
    "Acquired",
    "SimulatedTraining",
    "Start",
    "acquire",
    "join",
    "train_on",
    "train_recorded",
    "train_sensorium",
    "train_simulated",
]
