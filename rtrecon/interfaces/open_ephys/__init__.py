"""Open Ephys: spike rates in place of images."""
