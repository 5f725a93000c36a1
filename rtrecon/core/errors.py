"""The error for mistakes that the user can correct."""


class UserError(ValueError):
    """A mistake in the input: a file, a setting or an address.

    The text is one sentence or more for the user: what is wrong, which value, what to
    do. The command line prints it instead of a traceback.
    """
