"""The `afterword` command line, a module for each group of commands.

Results go to stdout, notices and progress to stderr. Exit status: 0 done, 1 failed, 2 the user must
change something.
"""

import sys
from collections.abc import Sequence

from afterword_stack.commands.app import app
from afterword_stack.terminal.console import notice, printable, writing_to_stdout

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = _run(arguments)
        with writing_to_stdout():
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has what it wanted, as `head` does
        return 1
    except Exception as error:  # noqa: BLE001  # what is not ours is raised again
        return _tell(error)
    return status


def _tell(error: Exception) -> int:
    """Say what went wrong, and return the exit status; raises what is no error of ours.

    Imports only now what errors there are: `--help` and `--version` have no use for it.
    """
    from afterword_schemas import (  # noqa: PLC0415
        AccessError,
        AfterwordError,
        ConfigurationError,
        UnreachableError,
    )
    from afterword_stack.settings import explain_unreachable  # noqa: PLC0415

    if not isinstance(error, AfterwordError):
        raise error
    told = explain_unreachable(error) if isinstance(error, UnreachableError) else error
    notice(printable(f"afterword: {told}", keep="\n\t"))
    return 2 if isinstance(told, ConfigurationError | AccessError) else 1


def _run(arguments: Sequence[str]) -> int:
    try:
        app(arguments, prog_name="afterword")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
