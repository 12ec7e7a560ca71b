"""The quick start for analysts: its programs run on the sample data, as the cells of one notebook."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from afterword_stack.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "consumers" / "docs" / "quickstart-analyst.md"
SAMPLE = ROOT / "deploy" / "examples" / "feedback.jsonl"

pytestmark = pytest.mark.services


def test_the_cells_run_in_order(settings: Settings, store_events: Callable[..., None]) -> None:
    """The data frames hold what the sample says."""
    store_events(*SAMPLE.read_bytes().splitlines())
    address = f"port={urlsplit(settings.clickhouse_url).port}"
    database = f'database="{settings.clickhouse_database}"'
    cells = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    notebook: dict[str, Any] = {}
    for cell in cells:
        placed = cell.replace("port=8123", address).replace('database="afterword"', database)
        exec(compile(placed, PAGE.name, "exec"), notebook)

    assert list(notebook["votes"].columns) == ["model", "votes", "up_percent", "median_score"]
    assert {"aurora-1", "aurora-2"} <= set(notebook["votes"]["model"])
    assert notebook["scores"]["score"].between(0, 1).all()
    assert "feedback.step1.retry" in set(notebook["paths"]["path"])
    notebook["client"].close()
