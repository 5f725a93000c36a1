"""Simulated barrel cortex, and the whiskers that drive it."""
