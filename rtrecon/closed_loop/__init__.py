"""The closed loop: rules on published results, and the outputs that they trigger."""
