"""What is the user's to mend."""


class UserError(ValueError):
    """A mistake in what was given: a file, a setting, an address.

    Its text is one sentence or more for the user: what, which value, what to do. The
    command line prints it in place of a traceback.
    """
