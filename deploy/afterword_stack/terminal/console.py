"""What commands print: results to stdout, notices and progress to stderr.

    print_table([{"partition": 0, "lag": 12}, …])
    with progress("publishing", total=50_000) as advance: advance(1)

On a terminal long work shows a bar; elsewhere a plain line now and then.
"""

import itertools
import math
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

_LINE_EVERY_S: Final = 2.0
_MOMENT_S: Final = 3.0
_MISSING: Final = "–"
_GAP: Final = "  "
_MIN_TEXT: Final = 12
"""A text is not made narrower than this: shorter, it tells nothing."""

_LONG: Final = 1e15
_WRITTEN_NUMBER: Final = re.compile(r".* (%|pp)|(< )?[01]\.[0-9]{3}|[-0-9.,e+]+ … [-0-9.,e+]+|")
"""What stands to the right as a number does: shares, intervals, p-values, and nothing."""

_WRITTEN_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]+(Z|[-+][0-9:]+)?)?")


def out(text: str = "") -> None:
    """Print a result.

    Raises:
        CommandError: Stdout does not take it.
    """
    with writing_to_stdout():
        sys.stdout.write(f"{text}\n")


@contextmanager
def writing_to_stdout() -> Iterator[None]:
    """Let what stdout does not take be an error of ours; that its reader has left stays as it is.

    Raises:
        CommandError: It was not written to its end, as on a full disk.
    """
    try:
        yield
    except BrokenPipeError:
        _give_up_stdout()
        raise
    except OSError as error:
        from afterword_stack.errors import CommandError  # noqa: PLC0415  # as in `commands`

        _give_up_stdout()
        raise CommandError(f"stdout could not be written: {error.strerror}") from error


def _give_up_stdout() -> None:
    """Let go of what is still buffered, or Python fails at it once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def notice(text: str) -> None:
    """Print what is no result: to stderr, so that a pipe gets results only."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def once() -> Callable[[str], None]:
    """Return a `notice` that prints a text the first time only."""
    return cache(notice)


def printable(text: str, *, keep: str = "") -> str:
    r"""Return text that cannot command a terminal: what does not print is written as an escape.

    Joiners stay, because scripts and emoji are made with them.

    >>> printable("red \x1b[31m")
    'red \\x1b[31m'
    """
    if text.isprintable():
        return text
    keep += "\u200c\u200d"
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def print_table(rows: Sequence[Mapping[str, object]], *, indent: str = "") -> None:
    """Print rows in aligned columns, numbers to the right; on a terminal as wide as that, at most."""
    width = terminal_width()
    inner = None if width is None else width - len(indent)
    for line in table_lines(rows, inner, bold):
        out(f"{indent}{line}")


def terminal_width() -> int | None:
    """Return the columns of the terminal that results go to; None where a program reads them."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def bold(text: str) -> str:
    """Return text in bold, on a terminal that shows it."""
    return styled(text, "1")


def styled(text: str, code: str) -> str:
    """Return text in a style of ANSI, such as 31 for red; as it is where nobody sees it so.

    That is where a program reads, and where NO_COLOR is set (https://no-color.org).
    """
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"


def table_lines(
    rows: Sequence[Mapping[str, object]],
    width: int | None = None,
    head: Callable[[str], str] = str,
) -> list[str]:
    """Return the lines of a table, its header first; none for no rows.

    Args:
        rows: All with the same columns.
        width: Of a line, at most; None is no limit. Long texts are shortened with an ellipsis. Numbers
            and times never are: those that do not fit follow below, beside the first columns again.
        head: Styles a header.

    >>> table_lines([{"code": "too_deep", "messages": 12}, {"code": "wrong_type", "messages": 3}])
    ['code        messages', 'too_deep          12', 'wrong_type         3']
    """
    if not rows:
        return []
    names = list(rows[0])
    columns = [[row[name] for row in rows] for name in names]
    cells = [[name, *_cells(column)] for name, column in zip(names, columns, strict=True)]
    right = [all(map(_is_number, column)) for column in columns]
    whole = [
        is_right or all(map(_is_time, column))
        for is_right, column in zip(right, columns, strict=True)
    ]
    lead = _lead(right, whole)
    widths = _fit([max(map(_width, column)) for column in cells], whole, lead, width)
    lines: list[str] = []
    for block in _blocks(widths, lead, width):
        header, *body = [
            _line([(line[at], widths[at], right[at]) for at in block])
            for line in zip(*cells, strict=True)
        ]
        lines += [*([""] if lines else []), head(header), *body]
    return lines


def _lead(right: Sequence[bool], whole: Sequence[bool]) -> int:
    """Return how many columns say what a row is about: its first texts, and a time before them."""
    begin = 1 if not right[0] else 0
    return begin + sum(1 for _ in itertools.takewhile(lambda is_whole: not is_whole, whole[begin:]))


def _fit(
    widths: Sequence[int], whole: Sequence[bool], lead: int, width: int | None
) -> Sequence[int]:
    """Return the widths with the widest texts made narrower until a line fits, if it can.

    If it cannot, a text is made narrower only until it fits beside the first columns.
    """
    if width is None:
        return widths
    in_one_line = _narrowed(widths, range(len(widths)), whole, width)
    if lead == len(widths) or _together(in_one_line) <= width:
        return in_one_line
    for at in range(lead, len(widths)):
        widths = _narrowed(widths, [*range(lead), at], whole, width)
    return widths


def _narrowed(
    widths: Sequence[int], line: Sequence[int], whole: Sequence[bool], width: int
) -> list[int]:
    """Return the widths with the texts of a line made narrower, the widest first."""
    narrowed = list(widths)
    texts = [at for at in line if not whole[at]]
    while texts and _together([narrowed[at] for at in line]) > width:
        widest = max(texts, key=narrowed.__getitem__)
        if narrowed[widest] <= _MIN_TEXT:
            break
        narrowed[widest] -= 1
    return narrowed


def _blocks(widths: Sequence[int], lead: int, width: int | None) -> list[list[int]]:
    """Return which columns stand beside each other; those after the first ones may follow below."""
    first = list(range(lead))
    if width is None or lead == len(widths):
        return [list(range(len(widths)))]
    blocks = [[*first, lead]]
    for at in range(lead + 1, len(widths)):
        if _together([widths[each] for each in (*blocks[-1], at)]) > width:
            blocks.append(list(first))
        blocks[-1].append(at)
    return blocks


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def invocation() -> str:
    """Return how to call this command again: `afterword` where it is on PATH, else its path."""
    called = Path(sys.argv[0])
    if shutil.which("afterword") or called.name != "afterword":
        return "afterword"
    return os.path.relpath(called)


@contextmanager
def waiting(what: str, at_most_s: float, tell: Callable[[str], None] = notice) -> Iterator[None]:
    """Say what is waited for, when the block takes longer than a moment."""
    done = threading.Event()

    def watch() -> None:
        if not done.wait(_MOMENT_S):
            tell(f"waiting for {what}, at most {at_most_s:.0f} s")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how far long work is; the function given advances it by a count."""
    if sys.stderr.isatty():
        yield from _bar(what, total)
    else:
        yield from _lines(what, total)


def _bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    # Not at the top: most commands show no bar, and all would import it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def _lines(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    done, said_s = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, said_s
        done += count
        if time.monotonic() - said_s >= _LINE_EVERY_S:
            said_s = time.monotonic()
            notice(f"{what}: {done:,}{f' of {total:,}' if total else ''}")

    yield advance
    notice(f"{what}: {done:,} done")


def decimal_places(largest: float) -> int:
    """Return how many places show three digits of the largest number: what follows is seldom meant.

    >>> [decimal_places(number) for number in (17_900.5, 721.3, 4.5, 0.907, 0.0004)]
    [0, 0, 2, 3, 6]
    """
    return max(0, 2 - math.floor(math.log10(largest))) if largest else 0


def _cells(column: Sequence[object]) -> list[str]:
    """Write the values of a column, its fractions all to the same place."""
    numbers = [abs(cell) for cell in column if isinstance(cell, int | float)]
    whole = all(float(number).is_integer() for number in numbers)
    places = 0 if whole else decimal_places(max(numbers))
    return [_cell(cell, places) for cell in column]


def written_number(number: float, places: int) -> str:
    """Return a number with so many places; in powers of ten where its digits would fill a line.

    >>> written_number(1234.5, 1), written_number(-0.04, 1), written_number(1e300, 0)
    ('1,234.5', '0.0', '1.00e+300')
    """
    if abs(number) >= _LONG:
        return f"{number:.2e}"
    return f"{round(number, places) + 0:,.{places}f}"  # plus nothing: no sign before 0


def _cell(value: object, places: int) -> str:
    match value:
        case None:
            return _MISSING
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return written_number(value, places)
        case _:
            return printable(" ".join(str(value).split()))


def _is_number(cell: object) -> bool:
    return not isinstance(cell, str) or _WRITTEN_NUMBER.fullmatch(cell) is not None


def _is_time(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and _WRITTEN_TIME.fullmatch(cell) is not None)


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    from rich.cells import cell_len  # noqa: PLC0415  # as above

    return cell_len(text)


def _line(cells: Sequence[tuple[str, int, bool]]) -> str:
    parts = []
    for cell, width, to_right in cells:
        short = _shorten(cell, width)
        padding = " " * (width - _width(short))
        parts.append(padding + short if to_right else short + padding)
    return _GAP.join(parts).rstrip()


def _shorten(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    from rich.cells import set_cell_size  # noqa: PLC0415  # as above

    return set_cell_size(text, width - 1).rstrip() + "…"
