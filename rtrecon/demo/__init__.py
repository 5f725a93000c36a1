"""A whole rig on one computer: simulated mouse and microscope, real processes.

The daemon, the inverter, the display, the wire and the recording are those of a real
rig. Only the light is simulated. The mouse is the one that the shipped encoder was
trained on; no training used the movie.
"""
