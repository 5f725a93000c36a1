"""Neurons in a dish: bodies, neurites, their owners, and touches between them."""
