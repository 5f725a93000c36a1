"""Masks of neurons: the set of masks, and readers for the files they are in."""
