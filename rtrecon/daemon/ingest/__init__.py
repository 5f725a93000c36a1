"""Decides what to do with received messages, and counts what was lost before them."""
