"""Ctrl-C at any moment before a command begins: no traceback, and the exit status of shells."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import signal, sys
moment = sys.argv[1]

class Interrupt:
    def find_spec(self, name, *_):
        if name == moment:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""
ENTRY_POINT = """
from afterword_stack.__main__ import main
sys.argv = ["afterword", "paths"]
sys.exit(main())
"""
WRAPPED = """
class Wrapping:  # as enum does before Python 3.12
    def find_spec(self, name, *_):
        if name == "typer":
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException as error:
                raise RuntimeError("Error calling __set_name__") from error

sys.meta_path.insert(0, Wrapping())
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with Python's handler also where whoever runs the tests ignores Ctrl-C."""
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-c", listening + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "module",
    [
        "logging",
        "afterword_stack.commands",
        "typer",
        "afterword_stack.terminal.console",
        "afterword_stack.commands.paths",
        "clickhouse_connect",
        "pydantic_settings",
    ],
)
def test_an_interrupt_while_a_module_is_imported_is_silent(module: str) -> None:
    """The command's own modules are imported as late as the first of what they need."""
    ended = run(PROGRAM + ENTRY_POINT, module)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_an_interrupt_that_an_import_turns_into_another_error_is_silent() -> None:
    """What raises does not reach `main` as `KeyboardInterrupt`."""
    ended = run("import signal, sys\n" + WRAPPED + ENTRY_POINT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_an_interrupt_that_the_caller_ignores_stays_ignored() -> None:
    """As with `nohup` and with `&` in a shell without job control."""
    ignoring = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    program = ignoring + PROGRAM + ENTRY_POINT.replace('"paths"', '"--version"')
    ended = run(program, "typer")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("afterword ")


def test_nothing_is_imported_before_ctrl_c_is_looked_after() -> None:
    """Only what Python has loaded at its start, and what names signals."""
    program = (
        "import signal, sys\n"
        "before = set(sys.modules)\n"
        "import afterword_stack.__main__\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    assert run(program).stdout.split() == [
        "afterword_stack",
        "afterword_stack.__main__",
        "afterword_stack.interrupts",
    ]


def test_a_command_that_has_begun_may_clean_up() -> None:
    """From there on Ctrl-C raises, and the exit status is the same."""
    program = (
        "import signal, sys\n"
        "from afterword_stack.commands import operate\n"
        "def doctor(settings):\n"
        "    try: signal.raise_signal(signal.SIGINT)\n"
        "    finally: print('cleaned up')\n"
        "operate.diagnose = doctor\n"
    )
    ended = run(program + ENTRY_POINT.replace('"paths"', '"doctor"'))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "cleaned up\n", "")
