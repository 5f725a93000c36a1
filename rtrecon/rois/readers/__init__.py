"""Readers for the files of other programs that hold masks."""
