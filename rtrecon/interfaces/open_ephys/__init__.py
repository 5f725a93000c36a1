"""Electrophysiology: spikes in place of images."""
