"""The neurons that a simulated session records, one file per family."""
