"""Find a stored field of view again in today's image.

`match` maps the stored image onto today's (searching with `affine_search`), moves the
masks along and measures how visible each neuron is. `comparison` decides whether the
session can go on and writes the sentence that says so; `picture` draws it.
`mask_orientation` detects masks whose rows and columns are exchanged.
"""
