"""Simulated auditory cortex, and the sounds that it hears."""
