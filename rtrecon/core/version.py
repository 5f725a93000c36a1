"""The version of rtrecon."""

__version__ = "0.1.0"
