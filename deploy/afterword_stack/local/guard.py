"""Run a command that ends when the process that started it ends, however that happens.

    python guard.py COMMAND...     with standard input a pipe that the starter holds open

The kernel closes the starter's end of the pipe also when the starter is killed by SIGKILL, and the
guard then kills the command. Linux's PR_SET_PDEATHSIG looks simpler but fires when the *thread* that
started the process ends, which a stack that starts its parts in threads must not have; it also does
not exist on macOS.

Imports nothing but the standard library: it is run as a file, without site-packages, to start fast.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command to its end and return its exit status, 128 + n if signal n ended it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # The starter signals the whole process group. A handler, not SIG_IGN: the command would
        # inherit an ignored signal, and a JVM then never hears it.
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # the starter's own words
    threading.Thread(target=_kill_when_orphaned, args=(child,), daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


def _kill_when_orphaned(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
