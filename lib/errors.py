"""The one exception that a person's mistake, or a missing file, is reported with."""


class UserError(Exception):
    """A mistake that its maker can mend: one line that says what, where, and what would be right.

    Command-line entry points print the message alone, without a traceback, and exit with status 2.
    """
