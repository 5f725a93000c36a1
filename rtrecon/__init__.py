"""rtrecon: the movie a mouse is watching, reconstructed while it watches."""

__version__ = "0.1.0"
