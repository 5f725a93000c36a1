"""Figures of a recorded session
=============================

Every session lies in a folder of Zarr arrays. ``rtrecon.open_session`` opens it: nothing
is read before you ask for it, and each array knows its axes, times and units.

First we need a session. The demo records one: a simulated mouse watches a movie for
half a minute, and the real daemon, inverter and recorder run as at a rig.
"""

# %%
# Record a session
# ----------------

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import rtrecon
from rtrecon.demo.run import DemoRequest, run_demo

folder = Path(tempfile.mkdtemp())
request = DemoRequest(seconds=20, headless=True, output_folder=folder)
run_demo(request, print, lambda done, total: None)
(path,) = (folder / "session").iterdir()

# %%
# Open it
# -------

session = rtrecon.open_session(path)
print(session.about.neuron_ids[:5], "...")
print(session.activity.shape, "encoder frames x neurons")
print(session.notices or "nothing is damaged")

# %%
# Activity
# --------
# Rows are neurons, columns are encoder frames. Activity that was lost is *not a number*.

activity = np.asarray(session.activity[:])
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
image = axes.imshow(activity.T, aspect="auto", vmin=0, vmax=1, cmap="gray_r")
axes.set(xlabel="encoder frame", ylabel="neuron")
figure.colorbar(image, label="activity")
plt.show()

# %%
# The movie at two ages
# ---------------------
# A frame improves while more activity arrives that speaks about it. Here are four moments
# as they were when 0.2 s old, and in the end.

final, early = session.movie(), session.movie(lag_s=0.2)
chosen = np.linspace(60, min(len(early), len(final)) - 1, 4).astype(int)
figure, grid = plt.subplots(2, 4, figsize=(8, 2.6), layout="constrained")
for row, (movie, label) in enumerate([(early, "0.2 s old"), (final, "final")]):
    for column, index in enumerate(chosen):
        axes = grid[row, column]
        axes.imshow(movie[int(index)], cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
    grid[row, 0].set_ylabel(label)
plt.show()

# %%
# Quality
# -------
# Held-out neurons never enter the inversion. How well does the movie predict them? The
# null is the same inversion with the identities of the neurons exchanged.

quality = session.quality
figure, axes = plt.subplots(figsize=(8, 2.5), layout="constrained")
for name in ("activity_correlation", "null_activity_correlation"):
    axes.plot(quality["encoder_frame"], quality[name], ".-", label=name)
axes.set(xlabel="encoder frame", ylabel="r of held-out neurons")
axes.legend(frameon=False)
plt.show()
