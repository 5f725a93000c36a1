"""A simulated culture of neurons in a dish, filmed by a microscope, with its truth."""
