"""The daemon: takes frames in, publishes activity, counts and records everything."""
