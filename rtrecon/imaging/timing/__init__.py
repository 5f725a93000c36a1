"""Timing: every clock and every stream on one time base, that of the encoder.

`aligner` resamples activity from microscope frames to encoder frames, `volume` joins
the planes of a volume, and `clock_fit` converts the clocks of other programs to the
microscope's.
"""
