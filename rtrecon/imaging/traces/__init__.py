"""From a registered image to activity: the traces of all cells, frame by frame.

`neuropil` and `overlap` prepare the masks, `extraction` reads cells and neuropil from
an image (by `run_length_masks`), `detector_offset` measures what the detector reads
without light, `neuropil_coefficient` and `baseline` compute dF/F, `noise` measures
noise and signal-to-noise ratio, and `deconvolution` and `deconvolution_ar2` estimate
the activity. Each step is causal: it uses the frames so far, and remembers what it
needs of them. `kernels` holds the compiled inner loops.
"""
