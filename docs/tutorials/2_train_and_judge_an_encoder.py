"""Train and judge an encoder
==========================

An *encoder* predicts the activity of each neuron from a movie. Here we train one on a
simulated mouse, and judge it the way that matters: on a movie that the training never
saw, against the best that any model could reach.

On a real session you would type ``rtrecon train --session SESSION --out FILE``.
"""

# %%
# Train
# -----
# The mouse has 60 neurons. A simulated microscope images 2.5 minutes of its activity,
# and the same code that runs live extracts the traces. (A real session has hundreds of
# neurons and 20 minutes or more; then training takes some minutes.)

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import rtrecon
from rtrecon import config, training
from rtrecon.simulate.imaged_mouse import ImagedMouseOptions, make_imaged_mouse
from rtrecon.simulate.movie import make_natural_movie
from rtrecon.simulate.session import simulate_session
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.training.compact.fit import TrainingRecipe

torch.set_num_threads(1)
folder = Path(tempfile.mkdtemp())
mouse = ImagedMouseOptions(SubjectOptions(n_neurons=60), side_px=128)
training.train_on_simulation(
    training.SimulatedTraining(minutes=2.5, mouse=mouse),
    TrainingRecipe(epochs=12),
    config.Settings(),
    folder / "mouse.safetensors",
    lambda stage, fraction, detail: None,
)

# %%
# Predict a new movie
# -------------------
# The seed of this movie is not one that training uses.

encoder = rtrecon.load_encoder(folder / "mouse.safetensors")
movie = make_natural_movie(600, seed=700)
predicted = encoder.predict(movie)  # (frames, neurons)
print(f"{encoder.n_neurons} neurons, {encoder.rate_hz:g} predictions per second")

# %%
# Judge
# -----
# The mouse watches the same movie. Its spikes are noisy: the same movie would give other
# spikes next time. Therefore we compare two correlations with the *recorded spikes*: that
# of the prediction, and that of the true rates, which no model can exceed.

imaged = make_imaged_mouse(mouse)
session = simulate_session(imaged, movie, "new movie", seed=700)
spikes, rates = session.response.spikes, session.response.rate


def correlate_neurons(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlation over time of each neuron; NaN for a silent one."""
    a, b = a - a.mean(0), b - b.mean(0)
    with np.errstate(invalid="ignore"):
        return (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))


prediction_r = correlate_neurons(predicted, spikes)
ceiling_r = correlate_neurons(rates, spikes)
share = np.nanmean(prediction_r) / np.nanmean(ceiling_r)
print(f"mean r of the prediction {np.nanmean(prediction_r):.2f}")
print(f"mean r of the true rates {np.nanmean(ceiling_r):.2f}")
print(f"share of the ceiling     {share:.2f}")

# %%
# Each dot is a neuron. On the line, the encoder would predict as well as the true rates.

figure, axes = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
axes.plot(ceiling_r, prediction_r, ".")
axes.axline((0, 0), slope=1, color="0.7", linewidth=1)
axes.set(xlabel="r of the true rates", ylabel="r of the prediction")
plt.show()
