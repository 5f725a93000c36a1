"""`rtrecon dish`: a film of neurons in a dish at the desk."""
