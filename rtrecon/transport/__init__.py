"""How bytes go from one program to another: sockets, keys, framing, requests."""
