"""The front: frames in, activity out, everything counted and recorded."""
