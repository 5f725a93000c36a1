"""Motion correction of two-photon frames against a template image.

`registrar.Registrar` estimates how far the brain has moved in each frame and moves the
frame back. It builds on `rigid` (one shift per frame, searched on the image pyramid of
`template_pyramid`), `nonrigid` (one shift per strip of lines) and `frame_quality`
(which frames are rejected, and why). `template_drift` renews the template as the
tissue slowly changes, `scan_phase` measures the offset between odd and even lines, and
`z_drift` measures how far the plane has moved up or down. `kernels` holds the compiled
inner loops.
"""
