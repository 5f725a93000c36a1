"""Finding the neurons in a recording that has no masks."""
