"""`producers/docs/browser.md` says what `afterword.js` does, and the script is as small as it says."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from afterword import COPIED, EDITED, REGENERATED, Signal

PRODUCERS = Path(__file__).parents[4] / "producers"
DOCUMENTATION = (PRODUCERS / "docs" / "browser.md").read_text("utf-8")
SCRIPT = (PRODUCERS / "afterword" / "gateway" / "browser" / "static" / "afterword.js").read_text(
    "utf-8"
)


def test_the_script_is_small(gateway: Any) -> None:
    """Less than 4.6 KB as it goes over the wire, and nothing but whole lines is left out of it."""
    answer = gateway.http.get("/afterword.js")

    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert len(gzip.compress(answer.content, 9)) < 4.6 * 1024
    assert "less than 4.6 KB" in DOCUMENTATION
    lines = [line.strip() for line in SCRIPT.splitlines()]
    assert answer.text.splitlines() == [
        line for line in lines if line and not line.startswith("//")
    ]


def test_every_mark_is_documented() -> None:
    """The attributes of the script are those of the page."""
    looked_for = set(re.findall(r'within\(node, "(-\w+)"\)', SCRIPT))
    answer = {"", "data-trace-id", "data-session-id", "data-span-id", "data-metadata"}
    table = DOCUMENTATION.partition("## What you mark")[2].partition("## What you call")[0]
    marks = {mark.removeprefix("data-afterword") for mark in re.findall(r"`(data-[a-z-]+)`", table)}

    assert marks == looked_for | answer


@pytest.mark.parametrize(
    ("deed", "signal"), [("copied", COPIED), ("regenerated", REGENERATED), ("edited", EDITED)]
)
def test_the_signals_are_those_of_the_table(deed: str, signal: Signal) -> None:
    """Value and weight of each deed stand in the table."""
    assert re.search(rf"\| {deed} \| .* \| {signal.value} \| {signal.weight} \|", DOCUMENTATION)
