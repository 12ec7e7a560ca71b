"""The README of `schemas/` says what the code does."""

import doctest
import re
from pathlib import Path

import pytest

from afterword_schemas import Event, RejectCode, limits

README = Path(__file__).parents[2] / "schemas" / "README.md"
TEXT = README.read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its first two lines."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    """List what a cell sets in code."""
    return re.findall(r"`([^`]+)`", cell)


def test_examples_run() -> None:
    """Every example gives what it shows."""
    outcome = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert outcome.failed == 0
    assert outcome.attempted >= 6


def test_every_field_is_described_once() -> None:
    """The table has the fields of the event, in their order."""
    described = [name for row in rows("The event") for name in names(row[0])]
    assert described == list(Event.model_fields)


def test_every_reject_code_is_described_once() -> None:
    """The list is closed, here too; each has a meaning and a way out."""
    table = rows("Why an event is refused")
    assert [names(code) for code, _, _ in table] == [[code.value] for code in RejectCode]
    assert all(meaning and way_out for _, meaning, way_out in table)


@pytest.mark.parametrize(
    "name",
    ["MAX_EVENT_BYTES", "MAX_LEAVES", "MAX_OBJECT_LEVELS", "MAX_ARRAY_LEVELS", "MAX_PATH_BYTES"],
)
def test_limits_are_the_ones_in_force(name: str) -> None:
    """A changed limit is changed here too."""
    (stated,) = [most for limit, _, most in rows("Limits") if names(limit) == [name]]
    assert stated == f"{getattr(limits, name):,}"


def test_files_named_in_the_first_table_exist() -> None:
    """What the folder is said to hold, it holds."""
    for name in names(TEXT.split("\n\n")[1]):
        path = name.replace("afterword_schemas.", "afterword_schemas/")
        places = [README.parent / path, README.parent / f"{path}.py"]
        if "/" in path or path.startswith("feedback.v1"):
            assert any(place.exists() for place in places), name
