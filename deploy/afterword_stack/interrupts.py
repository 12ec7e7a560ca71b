"""Ctrl-C while the command is still being imported: an end without a traceback.

    end_at_once()          # first of all
    import typer           # Ctrl-C in here: exit status 130, not a word
    raise_from_now_on()    # before the command begins, which may have to clean up

Python's own handler raises inside whatever is imported at the moment. Some of that turns the interrupt
into another error, or prints it. Until the command begins nothing is open that an end could damage.
"""

import os
import signal

INTERRUPTED = 130  # not Final: `typing` takes as long to import as all else here
"""The exit status that shells give to a command that Ctrl-C ended: 128 and the signal's number."""


def end_at_once() -> None:
    """End the process at Ctrl-C, unless the caller ignores it, as `nohup` does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_from_now_on() -> None:
    """Raise `KeyboardInterrupt` at Ctrl-C again, as Python does."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_: int, __: object) -> None:
    os._exit(INTERRUPTED)
