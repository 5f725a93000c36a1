"""Checks before an experiment: settings, files, speed, and what a sender sends."""
