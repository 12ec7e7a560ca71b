"""The pages of `schemas/` say what the code does."""

import doctest
import re
from pathlib import Path

import pytest

from afterword_schemas import Event, RejectCode, limits, read_event

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "schemas"
SOURCES = [
    *SCHEMAS.rglob("*.py"),
    *(ROOT / "consumers").rglob("*.py"),
    *(ROOT / "producers").rglob("*.py"),
]


def table(page: str, first_cell: str) -> list[list[str]]:
    """Return the cells of the table with this first cell, without its first two lines."""
    text = (SCHEMAS / page).read_text("utf-8")
    section = text[text.index(f"\n| {first_cell} |") + 1 :].split("\n\n")[0]
    lines = section.splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    """List what a cell sets in code."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("page", ["README.md", "docs/paths.md"])
def test_examples_run(page: str) -> None:
    """Every example gives what it shows."""
    outcome = doctest.testfile(str(SCHEMAS / page), module_relative=False, encoding="utf-8")
    assert outcome.failed == 0
    assert outcome.attempted >= 3


def test_the_event_of_the_page_is_valid() -> None:
    """The page's first event passes the check."""
    text = (SCHEMAS / "docs" / "event.md").read_text("utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)
    event, _ = read_event(example.encode())
    assert event.value == 1


def test_every_field_is_described_once() -> None:
    """The table has the fields of the event, and no other."""
    described = [name for row in table("docs/event.md", "field") for name in names(row[0])]
    assert sorted(described) == sorted(Event.model_fields)


def test_every_reject_code_is_described_once() -> None:
    """The list is closed, here too; each has a meaning and a way out."""
    codes = table("docs/reject-codes.md", "code")
    described = sorted(name for code, _, _ in codes for name in names(code))
    assert described == sorted(code.value for code in RejectCode)
    assert all(meaning and way_out for _, meaning, way_out in codes)


@pytest.mark.parametrize(
    "name",
    ["MAX_EVENT_BYTES", "MAX_LEAVES", "MAX_OBJECT_LEVELS", "MAX_ARRAY_LEVELS", "MAX_PATH_BYTES"],
)
def test_limits_are_the_ones_in_force(name: str) -> None:
    """A changed limit is changed here too."""
    rows = table("docs/event.md", "limit")
    (stated,) = [most for limit, _, most in rows if names(limit) == [name]]
    assert stated == f"{getattr(limits, name):,}"


def test_files_that_the_readme_names_exist() -> None:
    """What the folder is said to hold, it holds."""
    for row in table("README.md", "file or module"):
        for name in names(row[0]):
            path = name.replace("afterword_schemas.", "afterword_schemas/")
            places = [SCHEMAS / path, SCHEMAS / f"{path}.py", SCHEMAS / f"{path}/__init__.py"]
            if "/" in path or path.startswith("feedback.v1"):
                assert any(place.exists() for place in places), name


def test_the_tables_page_names_each_table_and_view() -> None:
    """A table or view that a migration makes is on the page, and no other is."""
    sql = "".join(path.read_text("utf-8") for path in SCHEMAS.rglob("*.sql"))
    made = re.findall(r"^CREATE (?:OR REPLACE VIEW|TABLE IF NOT EXISTS) (\w+)", sql, re.MULTILINE)
    described = [name for row in table("docs/tables.md", "table or view") for name in names(row[0])]
    assert sorted(described) == sorted(set(made))


def test_names_of_the_glossary_are_in_the_code() -> None:
    """A class that is renamed is renamed in the glossary too."""
    text = (SCHEMAS / "docs" / "glossary.md").read_text("utf-8")
    classes = set(re.findall(r"`([A-Z]\w+)`", text))
    code = "".join(path.read_text("utf-8") for path in SOURCES)
    assert len(classes) > 20
    assert [name for name in sorted(classes) if not re.search(rf"\b{name}\b", code)] == []
