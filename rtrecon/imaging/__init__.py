"""From two-photon frames to activity on the encoder's time base.

`frame_processor.FrameProcessor` runs all steps of one plane: `registration`, then
`traces`. `reference` builds what it needs at the start of a session, finding a stored
field again with `field_match`. `timing` puts activity and all clocks on one time base.
"""
