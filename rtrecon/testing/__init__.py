"""Helpers to test senders and clients against a real daemon, without a microscope."""
