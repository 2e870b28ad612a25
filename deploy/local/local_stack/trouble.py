"""The one error that ends a start with a plain sentence instead of a traceback."""


class Trouble(Exception):
    """What went wrong, told to the person at the terminal in one sentence (more lines may follow)."""
