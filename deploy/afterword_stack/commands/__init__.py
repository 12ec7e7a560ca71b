"""The `afterword` command line, a module for each group of commands.

Results go to stdout, notices and progress to stderr. Exit status: 0 done, 1 failed, 2 the user must
change something.
"""

import sys
from collections.abc import Sequence

from afterword_schemas import AccessError, AfterwordError, SetupError, UnreachableError
from afterword_stack.commands.app import app
from afterword_stack.console import notice, writing_to_stdout
from afterword_stack.settings import explain_unreachable

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = _run(arguments)
        with writing_to_stdout():
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has what it wanted, as `head` does
        return 1
    except AfterwordError as error:
        told = explain_unreachable(error) if isinstance(error, UnreachableError) else error
        notice(f"afterword: {told}")
        return 2 if isinstance(told, SetupError | AccessError) else 1
    return status


def _run(arguments: Sequence[str]) -> int:
    try:
        app(arguments, prog_name="afterword")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
