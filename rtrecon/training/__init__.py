"""Training of encoders: from simulated, recorded or Sensorium data to a checkpoint."""

from rtrecon.training.assessment import assess_decoder, assess_encoder
from rtrecon.training.distributed import join_process_group
from rtrecon.training.movie_format import MovieRequest
from rtrecon.training.recorded import train_on_session
from rtrecon.training.sensorium import train_on_sensorium
from rtrecon.training.sensory import SensoryTraining, train_on_sense
from rtrecon.training.simulated import (
    AcquiredSession,
    SimulatedTraining,
    acquire_session,
    train_on_acquired,
    train_on_simulation,
)
from rtrecon.training.train import TrainingOptions
from rtrecon.training.training_data import CLIP_FRAMES

__all__ = [
    "CLIP_FRAMES",
    "AcquiredSession",
    "MovieRequest",
    "SensoryTraining",
    "SimulatedTraining",
    "TrainingOptions",
    "acquire_session",
    "assess_decoder",
    "assess_encoder",
    "join_process_group",
    "train_on_acquired",
    "train_on_sense",
    "train_on_sensorium",
    "train_on_session",
    "train_on_simulation",
]
