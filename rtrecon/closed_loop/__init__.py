"""The closed loop: rules on what is published, and what they set off."""
