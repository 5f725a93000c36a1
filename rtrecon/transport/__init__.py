"""Sockets, keys, framing and requests between the programs of a rig."""
