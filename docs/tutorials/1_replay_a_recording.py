"""Replay a recording
==================

rtrecon replays a recording as if the microscope ran now: the daemon sees no
difference. Here we make a small recording, replay it to a real daemon, and receive what
the daemon publishes.

With your own files you would type, in three terminals::

    rtrecon run my_rig.toml
    rtrecon replay recording.tif
    rtrecon display
"""

# %%
# A recording and its masks
# -------------------------
# A field of 128 x 128 pixels with a few cells. The brain moves up and down by two pixels,
# and one cell becomes active twice.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

import rtrecon
from rtrecon.sources.recording import RecordingHints
from rtrecon.testing.daemon_process import BackgroundProcess, DaemonProcess
from rtrecon.testing.simulated_microscope import SHAPE, make_small_settings
from rtrecon.testing.synthetic_field import make_field

N_FRAMES, RATE_HZ = 240, 30
folder = Path(tempfile.mkdtemp())
field, rng = make_field(SHAPE), np.random.default_rng(0)

dff = np.zeros((N_FRAMES, field.n_cells))
for onset in (90, 170):
    dff[onset:, 0] += np.exp(-np.arange(N_FRAMES - onset) / (0.7 * RATE_HZ))
motion_px = 2 * np.sin(np.arange(N_FRAMES) / 10)
frames = [
    field.render_frame(5, rng, (shift, 0.0), activity)
    for shift, activity in zip(motion_px, dff, strict=True)
]
tifffile.imwrite(folder / "recording.tif", np.stack(frames))

# %%
# ``open_recording`` opens any supported file; it reads frames when you ask for them. This
# TIFF does not store its frame rate, so we give a hint.

hints = RecordingHints(rate_hz=RATE_HZ)
recording = rtrecon.open_recording(folder / "recording.tif", hints)
print(recording.shape, "lines x pixels")

# %%
# Replay it to a daemon
# ---------------------
# ``make_small_settings`` writes the masks and returns settings that name them.

settings = make_small_settings(folder)
shifts_px, activity = [], []
replay = ["replay", folder / "recording.tif", "--rate-hz", RATE_HZ]
replay += ["--to", settings.network.frames]

with (
    DaemonProcess(folder, settings),
    rtrecon.subscribe(settings.network.publish, ["field", "activity"]) as stream,
    BackgroundProcess(folder / "replay.log", *replay),
):
    for message, payload in stream:
        if type(message).__name__ == "Activity":
            activity.append(payload)
            if message.encoder_frame >= N_FRAMES - 10:
                break
        else:
            shifts_px.append((message.frame, message.shift_px[0]))

# %%
# What the daemon found
# ---------------------
# Above: the motion of the brain, published a few times per second, on the true motion.
# The template itself may lie up to a pixel away from the field's rest position. Below:
# the activity of the active cell; calcium is deconvolved, so activity is short.

figure, (motion, trace) = plt.subplots(2, 1, figsize=(8, 4), layout="constrained")
motion.plot(motion_px, color="0.7", label="true motion")
motion.plot(*zip(*shifts_px, strict=True), ".", label="registration")
motion.set(ylabel="shift, px")
motion.legend(frameon=False)
trace.plot(np.array(activity)[:, 0], label="activity")
trace.plot(np.diff(dff[:, 0], prepend=0).clip(min=0), label="true onsets")
trace.set(xlabel="encoder frame", ylabel="activity")
trace.legend(frameon=False)
plt.show()
