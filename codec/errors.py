"""The one exception type for mistakes that the user can repair."""


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line that names the thing, the rule and the remedy.

    The command line prints it as ``earmark: MESSAGE`` and exits with status 2; inside a run it becomes the reason
    of an ``error`` row, so that one bad file never costs the others their scores.
    """


class WriteError(UserError):
    """Results cannot be stored (full disk, read-only folder): unlike other mistakes it ends the whole run."""
