"""Training: from a session, simulated, recorded or of Sensorium, to a checkpoint."""

from rtrecon.training.distributed import join
from rtrecon.training.recorded import train_recorded
from rtrecon.training.sensorium import train_sensorium
from rtrecon.training.simulated import (
    Acquired,
    SimulatedTraining,
    acquire,
    train_on,
    train_simulated,
)
from rtrecon.training.train import Start
from rtrecon.training.training_data import CLIP_FRAMES

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
