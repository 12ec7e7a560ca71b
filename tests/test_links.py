"""Every link of the documentation leads somewhere: to a file, and to a title in it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
PAGES = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()


def titles(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page."""
    text = _FENCED.sub("", page.read_text("utf-8"))
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in _TITLE.findall(text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """Within the repository: what others have is theirs to keep."""
    page = ROOT / name
    text = _FENCED.sub("", page.read_text("utf-8"))
    broken = []
    for inline, attribute in _LINK.findall(text):
        target = inline or attribute
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in titles(there)):
            broken.append(target)
    assert broken == []


def test_there_are_pages() -> None:
    """The list is not empty by mistake."""
    assert len(PAGES) > 20
