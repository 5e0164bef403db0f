"""The one exception that a person's mistake, or a missing file, is reported with, and how a command reports it."""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class UserError(Exception):
    """A mistake that its maker can mend: one line that says what, where, and what would be right.

    Command-line entry points print the message alone, without a traceback, and exit with status 2.
    """


class Parser(argparse.ArgumentParser):
    """A command's arguments; a mistake in them is a `UserError`, one line as all others."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As always; an option with nothing after it, as from a variable that is not set, is a mistake."""
        found, rest = super().parse_known_args(args, namespace)
        for action in self._actions:
            if action.option_strings and getattr(found, action.dest, None) == "":
                self.error(f"{action.option_strings[-1]}: nothing is named after it")
        return found, rest

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help says what there is")


def told(work: Callable[[], int | None]) -> int:
    """Do the work of a command in a clean environment, and tell of what stops it in one line.

    Returns:
        The exit status: what ``work`` returns or 0, 1 if the machine failed, 2 for a mistake of the user's.
    """
    from . import environment

    environment.prepare()
    try:
        status = work()
        sys.stdout.flush()  # a reader that is gone is noticed here, not at the exit
        return status or 0
    except UserError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        if isinstance(error, shutil.Error) and error.args[0]:  # of several files; each has its reason as a text
            reason = error.args[0][0][-1]
        elif error.errno is None:  # not the system's word, but a library's
            raise
        else:
            reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        print(f"error: {reason}; what is finished is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what is finished is kept: the same command goes on from there", file=sys.stderr)
        return 130
