"""`.github/CONTRIBUTING.md` leads to what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text("utf-8")
PATHS = sorted(set(re.findall(r"`((?:schemas|producers|consumers|deploy|tests)/[^`]+)`", TEXT)))


def test_the_table_names_places() -> None:
    """The pattern finds them."""
    assert len(PATHS) > 20


@pytest.mark.parametrize("path", PATHS)
def test_a_place_is_there(path: str) -> None:
    """No place moves without its line."""
    assert (ROOT / path).exists()
