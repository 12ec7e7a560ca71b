"""What commands print: tables that align, text that is safe, progress that suits the reader."""

import os
import pty
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from rich.cells import cell_len

from afterword_stack.terminal.console import print_table, printable, progress, table_lines

pytestmark = pytest.mark.slow

PROGRESS = """
from afterword_stack.terminal.console import progress
with progress("publishing", 2000) as advance:
    for _ in range(2000):
        advance(1)
"""


def test_a_table_aligns_numbers_right_and_text_left() -> None:
    """Thousands have commas, and what is missing a dash."""
    rows: list[dict[str, object]] = [
        {"model": "aurora-1", "n": 1234, "avg": None, "retry": True},
        {"model": None, "n": 5, "avg": 2, "retry": False},
    ]
    assert table_lines(rows) == [
        "model         n  avg  retry",
        "aurora-1  1,234    –    yes",
        "–             5    2     no",
    ]


@pytest.mark.parametrize(
    ("numbers", "written"),
    [
        ([1.0, 20.0], ["1", "20"]),
        ([0.5, None, 1], ["0.50", "–", "1.00"]),
        ([0.907, 0.1], ["0.907", "0.100"]),
        ([0.00042, 0.0001], ["0.000420", "0.000100"]),
        ([12.345, -1.0], ["12.3", "-1.0"]),
        ([-0.5, 0.25], ["-0.500", "0.250"]),
        ([123456.7, 8.9], ["123,457", "9"]),
        ([0.0, None], ["0", "–"]),
        ([None, None], ["–", "–"]),
    ],
)
def test_a_column_shows_three_digits_of_its_largest_number(
    numbers: list[float | None], written: list[str]
) -> None:
    """All to the same place, so that they can be compared by eye."""
    lines = table_lines([{"x": number} for number in numbers])
    assert [line.strip() for line in lines[1:]] == written


def test_a_table_fits_its_width_with_the_longest_texts_shortened() -> None:
    """Numbers and short texts stay whole; what is shortened ends in an ellipsis."""
    rows: list[dict[str, object]] = [
        {"path": "feedback.a", "n": 1234567, "example": "x" * 60},
        {"path": "feedback." + "b" * 50, "n": 1, "example": "良" * 30},
    ]
    lines = table_lines(rows, 40)
    assert [cell_len(line) <= 40 for line in lines] == [True] * 3
    assert lines == [
        "path                   n  example",
        "feedback.a     1,234,567  xxxxxxxxxxxxx…",
        "feedback.bbb…          1  良良良良良良…",
    ]
    assert max(map(len, table_lines(rows))) > 100


def test_numbers_that_do_not_fit_follow_below() -> None:
    """Beside the texts that say whose they are."""
    rows: list[dict[str, object]] = [
        {"model": name, **{f"p{number}": 123456 for number in range(4)}} for name in ("m1", "m2")
    ]
    assert table_lines(rows, 24, str.upper) == [
        "MODEL       P0       P1",
        "m1     123,456  123,456",
        "m2     123,456  123,456",
        "",
        "MODEL       P2       P3",
        "m1     123,456  123,456",
        "m2     123,456  123,456",
    ]


def test_times_stay_whole_and_leave_their_line_to_the_path() -> None:
    """A path cut short names nothing; where one line does not do, columns follow below."""
    rows: list[dict[str, object]] = [
        {
            "path": f"feedback.edits.{n}.value",
            "seen": f"2026-11-30 21:4{n}",
            "example": "Oslo",
            "n": n,
        }
        for n in range(2)
    ]
    assert table_lines(rows, 40) == [
        "path                    seen",
        "feedback.edits.0.value  2026-11-30 21:40",
        "feedback.edits.1.value  2026-11-30 21:41",
        "",
        "path                    example  n",
        "feedback.edits.0.value  Oslo     0",
        "feedback.edits.1.value  Oslo     1",
    ]


def test_a_time_that_begins_a_row_is_beside_each_part_of_it() -> None:
    """As where an answer has a row for each day."""
    rows: list[dict[str, object]] = [
        {"day": "2026-11-30", "model": "aurora", "n": 123_456, "avg": 123_456},
    ]
    assert table_lines(rows, 28) == [
        "day         model         n",
        "2026-11-30  aurora  123,456",
        "",
        "day         model       avg",
        "2026-11-30  aurora  123,456",
    ]


def on_a_terminal(tmp_path: Path, **variables: str) -> str:
    """Return what a program prints that prints a wide table on a terminal of 60 columns."""
    code = (
        "from afterword_stack.terminal.console import print_table\n"
        "print_table([{'path': 'p' * 50, 'example': 'e' * 50}], indent='  ')\n"
    )
    here, terminal = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TERM"}}
    subprocess.run(
        [sys.executable, "-c", code],
        stdout=terminal,
        check=True,
        cwd=tmp_path,
        env={**environment, "COLUMNS": "60", "TERM": "xterm", **variables},
    )
    os.close(terminal)
    said = os.read(here, 10_000).decode().replace("\r\n", "\n")
    os.close(here)
    return said


def test_a_terminal_gets_a_table_that_fits_and_a_bold_header(tmp_path: Path) -> None:
    """Its indent included; without colours where NO_COLOR is set or the terminal has none."""
    plain = f"  path{' ' * 26}example\n  {'p' * 27}…  {'e' * 27}…\n"
    assert on_a_terminal(tmp_path, NO_COLOR="1") == plain
    assert on_a_terminal(tmp_path, TERM="dumb") == plain
    header, row = plain.splitlines()
    assert on_a_terminal(tmp_path) == f"  \x1b[1m{header.strip()}\x1b[0m\n{row}\n"


def test_a_program_gets_a_table_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever COLUMNS says: it may look for what would be cut off."""
    print_table([{"path": "p" * 200}])
    assert capsys.readouterr().out == f"path\n{'p' * 200}\n"


def test_percentages_are_aligned_as_numbers() -> None:
    """They end in their sign, which stands below the others."""
    rows: list[dict[str, object]] = [{"up": "100.0 %"}, {"up": "5.0 %"}, {"up": None}]
    assert table_lines(rows) == ["     up", "100.0 %", "  5.0 %", "      –"]


def test_a_wide_character_takes_two_columns() -> None:
    """As terminals show it."""
    rows: list[dict[str, object]] = [{"value": "良い", "n": 1}, {"value": "good", "n": 2}]
    assert table_lines(rows) == ["value  n", "良い   1", "good   2"]


def test_a_table_never_cuts_and_never_breaks_a_line() -> None:
    """A long text widens its column; line breaks in it become spaces."""
    text = "word " * 100
    (_, row) = table_lines([{"comment": f"{text}\n\tend"}])
    assert row == f"{text}end"


def test_no_rows_make_no_table() -> None:
    """Not even a header: there are no columns to name."""
    assert table_lines([]) == []


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain, 良い, née", "plain, 良い, née"),
        ("\x1b[2J\x07\x9b1m", r"\x1b[2J\x07\x9b1m"),
        ("a\u202eb", r"a\u202eb"),
        ("half \ud800", r"half \ud800"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("a\nb", r"a\nb"),
    ],
)
def test_text_of_others_cannot_command_a_terminal(text: str, safe: str) -> None:
    """What does not print is written as an escape, in tables too."""
    assert printable(text) == safe
    if "\n" not in text:
        assert table_lines([{"x": text}])[1] == safe


def test_line_breaks_may_be_kept() -> None:
    """Where the text has lines of its own to itself."""
    assert printable("a\nb\x00", keep="\n") == "a\nb\\x00"


def test_progress_is_lines_where_nobody_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One every two seconds and one at the end, to stderr."""
    clock = count(0, 0.5)
    monkeypatch.setattr("afterword_stack.terminal.console.time.monotonic", lambda: next(clock))
    with progress("publishing", 2000) as advance:
        for _ in range(4):
            advance(500)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["publishing: 2,000 of 2,000", "publishing: 2,000 done"]


def test_progress_that_fails_is_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line would be a lie."""
    with pytest.raises(KeyError), progress("publishing"):
        raise KeyError
    assert capsys.readouterr().err == ""


PRINT = """
import sys
from afterword_stack.commands import run
from afterword_stack.commands.app import app
from afterword_stack.terminal.console import out
from afterword_stack.terminal.output_file import open_whole

@app.command()
def lines(count: int) -> None:
    for _ in range(count):
        out("x" * 1000)

@app.command()
def data(count: int) -> None:
    with open_whole("-") as file:
        file.write(b"x" * 1000 * count)

sys.exit(run(sys.argv[1:]))
"""
BUFFERED = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("command", ["lines", "data"])
@pytest.mark.parametrize("count", ["1", "1000"])
def test_a_full_disk_behind_stdout_is_an_error_of_ours(command: str, count: str) -> None:
    """Said once, with status 1, whether it shows while printing or at the end."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PRINT, command, count],
            stdout=full,
            stderr=subprocess.PIPE,
            env=BUFFERED,
            check=False,
        )
    said = "afterword: stdout could not be written: No space left on device\n"
    assert (done.returncode, done.stderr.decode()) == (1, said)


@pytest.mark.parametrize("command", ["lines", "data"])
@pytest.mark.parametrize("count", ["1", "1000"])
def test_a_reader_that_has_left_is_told_nothing(command: str, count: str) -> None:
    """As in `afterword paths | true`: status 1 and not a word."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", PRINT, command, count],
        stdout=write,
        stderr=subprocess.PIPE,
        env=BUFFERED,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_progress_is_a_bar_on_a_terminal() -> None:
    """With count and total, on stderr alone."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRESS],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment,
        check=False,
    )
    os.close(terminal)
    shown = os.read(controller, 65536).decode()
    os.close(controller)
    assert (done.returncode, done.stdout) == (0, b"")
    assert "━" in shown
    assert "2000/2000" in shown
