"""Exceptions for mistakes that the user can repair."""


class UserError(Exception):
    """An input or option cannot be used. The message is one line that names it, the rule and the remedy.

    The command line prints ``earmark: MESSAGE`` and exits with status 2. Inside a run, the message becomes the reason
    of an ``error`` row, so that the other files still get their scores.
    """


class WriteError(UserError):
    """Results cannot be stored (full disk, read-only folder). Unlike other errors, it ends the whole run."""
