"""The panels in the lower row of the window, one file each; see `registry`."""
