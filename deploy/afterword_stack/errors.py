"""The error that only commands meet; it hangs in the tree of `afterword_schemas.errors`."""

from afterword_schemas.errors import AfterwordError


class CommandError(AfterwordError):
    """The command could not do what it was asked for: say why, and end with status 1.

    Whether another try may help, the sentence says.
    """
