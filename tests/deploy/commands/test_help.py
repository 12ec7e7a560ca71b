"""The command line itself: it teaches, refuses what it does not know, and says what is missing."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from afterword_stack.commands.app import Root, app

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "deploy" / "docs" / "cli.md"
INSTALL = (
    "Install the server parts: pip install '.[server]' in a clone, "
    "or '.[server,local]' for `afterword demo` and `afterword up`."
)


def every_command() -> Iterator[tuple[str, ...]]:
    """Yield the words that name each command."""
    for name, lazy in Root.lazy.items():
        command = lazy.load()
        if isinstance(command, typer.core.TyperGroup):
            yield from ((name, inner) for inner in command.commands)
        else:
            yield (name,)


COMMANDS = list(every_command())


def without_extra(module: str) -> subprocess.CompletedProcess[str]:
    """Run a command where a module cannot be imported."""
    code = f"import sys; sys.modules[{module!r}] = None; sys.argv = ['afterword', 'paths']\n"
    code += "import runpy; runpy.run_module('afterword_stack', run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_these_are_the_commands() -> None:
    """A command that comes or goes is a change that users notice."""
    assert [" ".join(words) for words in COMMANDS] == [
        "demo",
        "up",
        "sample remove",
        "publish",
        "check",
        "query",
        "tail",
        "paths",
        "export",
        "status",
        "doctor",
        "worker",
        "gateway",
        "dashboard",
        "migrate",
        "promote",
        "demote",
        "schema",
        "rejected list",
        "rejected show",
        "rejected replay",
        "rejected edit",
        "keys create",
        "keys list",
        "keys revoke",
    ]


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_import_nothing_of_what_the_commands_do(option: str) -> None:
    """No server, no client of Kafka or ClickHouse, no pydantic: the command answers at once."""
    code = (
        "import sys\n"
        "from afterword_stack.__main__ import main\n"
        f"sys.argv = ['afterword', {option!r}]\n"
        "before = set(sys.modules)\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules.keys() - before, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stderr.split()
    ours = {name for name in imported if name.startswith("afterword")}
    assert ours - {"afterword_stack", "afterword_stack.__main__"} == {
        "afterword_stack.commands",
        "afterword_stack.commands.app",
        "afterword_stack.commands.lazy",
        "afterword_stack.terminal",
        "afterword_stack.terminal.console",
    }
    outside = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    # With a typer that brings no click of its own, click comes, too.
    assert outside - {"afterword_stack"} <= {"typer", "click", "shellingham", "annotated_doc"} | {
        "typing_extensions"
    }


@pytest.mark.parametrize("name", Root.lazy)
def test_the_list_of_commands_has_the_sentence_of_each(name: str) -> None:
    """The list is written down apart, so that it needs no import."""
    command = Root.lazy[name]
    assert command.load().help.partition("\n")[0] == command.summary


def test_a_mistyped_command_is_told_which_one_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    """Although none is imported before it is asked for."""
    with pytest.raises(SystemExit) as ended:
        app(["qurey"], prog_name="afterword")
    assert ended.value.code == 2
    assert "No such command 'qurey'. Did you mean 'query'?" in capsys.readouterr().err


def test_the_page_lists_every_command() -> None:
    """And no other."""
    table, _, _ = PAGE.read_text().partition("\n## ")
    cells = re.findall(r"^\| (`afterword [^|]*) \|", table, re.MULTILINE)
    named = re.findall(r"`afterword ((?:rejected |keys |sample )?[a-z]+)", " ".join(cells))
    assert list(dict.fromkeys(named)) == [" ".join(words) for words in COMMANDS]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_does(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """In whole sentences, every option and argument included, and with status 0."""
    with pytest.raises(SystemExit) as ended:
        app([*words, "--help"], prog_name="afterword")
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert said.startswith(f"Usage: afterword {' '.join(words)} ")
    assert re.search(r"\n\n  [A-Z][^\n]{20,}[.]\n", said)
    options = re.findall(
        r"--([a-z-]+)(?: <[^>]+>| [A-Z:]+)?\s+(\S+)", said.partition("Options:")[2]
    )
    assert [name for name, first_word in options if first_word.startswith("-")] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2 and the command to ask for help."""
    with pytest.raises(SystemExit) as ended:
        app([*words, "--nonsense"], prog_name="afterword")
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "No such option: --nonsense" in said.err
    assert f"Try 'afterword {' '.join(words)} -h' for help." in said.err


def test_alone_it_lists_the_commands_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is cut on a terminal of 80 columns, and the first thing to try is named."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        app([], prog_name="afterword")
    said = capsys.readouterr()
    text = said.out + said.err
    assert ended.value.code in {0, 2}
    assert "Try `afterword demo` first." in text
    assert "..." not in text.partition("\n")[2]
    assert re.findall(r"^  (\w+)  +[A-Z]", text, re.MULTILINE) == list(
        dict.fromkeys(words[0] for words in COMMANDS)
    )


@pytest.mark.parametrize("module", ["typer", "pydantic_settings", "clickhouse_connect"])
def test_without_the_server_extra_it_says_how_to_get_it(module: str) -> None:
    """The module that is missing and the command that installs it, not a traceback."""
    done = without_extra(module)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"afterword: the command needs {module}, which the SDK alone does not install.",
        INSTALL,
    ]


def test_a_broken_installation_of_ours_is_not_mistaken_for_a_missing_extra() -> None:
    """A module of Afterword's own that is missing is a fault to see whole."""
    done = without_extra("afterword_consumers.kafka.lag")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


def test_a_terminal_without_unicode_gets_an_answer(tmp_path: Path) -> None:
    """What it cannot show is an escape, not a UnicodeEncodeError."""
    events = tmp_path / "events.jsonl"
    events.write_text('{"über": 1}')
    done = subprocess.run(
        [sys.executable, "-m", "afterword_stack", "check", str(events)],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 1
    assert b"also wrong: $.project, $.\\xfcber" in done.stdout


def test_the_reader_of_a_pipe_may_leave() -> None:
    """`afterword … | head -1` ends without a traceback."""
    reader = subprocess.Popen(["head", "-c", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdin is not None
    done = subprocess.run(
        [sys.executable, "-m", "afterword_stack", "schema", "json"],
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        check=False,
    )
    reader.stdin.close()
    reader.wait()
    assert done.stderr == b""
