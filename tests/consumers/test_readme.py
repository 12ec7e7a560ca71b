"""The README of `consumers/` says what the code is."""

import re
from pathlib import Path

CONSUMERS = Path(__file__).parents[2] / "consumers"
TABLE = re.compile(r"^\| room \| holds \|\n\|---\|---\|\n((?:\|.*\n)+)", re.MULTILINE)


def test_every_room_stands_in_the_table_once() -> None:
    """Each folder, and each module beside them."""
    table = TABLE.search((CONSUMERS / "README.md").read_text("utf-8"))
    assert table is not None
    cells = [line.split("|")[1] for line in table[1].splitlines()]
    described = re.findall("`([a-z0-9_]+)/?`", "".join(cells))
    package = CONSUMERS / "afterword_consumers"
    modules = {path.stem for path in package.glob("*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    assert sorted(described) == sorted((modules | packages) - {"__init__"})
