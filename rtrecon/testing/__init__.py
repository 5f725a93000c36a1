"""A rig of simulated parts and real processes, for tests and for authors of senders."""
