"""Take the README's pictures of the page: `python .ci/screenshots.py`.

Starts the demo on ports of its own, opens its page in a headless Chromium, and writes three PNG files to
`.github/`: the overview, Explore and the page of a trace.
"""

import json
import shutil
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from playwright.sync_api import Page, sync_playwright

from afterword_stack.demo.run import run_demo
from afterword_stack.demo.traffic import PROJECT
from afterword_stack.local.stack import LocalStack
from afterword_stack.run.pipeline import Pipeline
from afterword_stack.settings import default_settings

_FOLDER: Final = Path(__file__).parents[1] / ".github"
_BROWSERS: Final = ("google-chrome", "chromium", "chromium-headless-shell")
_EVENTS: Final = 50_000
_MAX_BYTES: Final = 200_000
_SIZE: Final = {"width": 1280, "height": 860}


def main() -> None:
    """Take all of them."""
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"None of {', '.join(_BROWSERS)} is on PATH.")
    with Pipeline(LocalStack.temporary(), default_settings(), servers=True) as pipeline:
        run_demo(pipeline, events=_EVENTS, now=datetime.now(UTC))
        address = pipeline.dashboard_url
        question = {"group_by": "metadata.model", "bucket": "day", "project": PROJECT}
        paths = {
            "overview": f"/?{urlencode({'project': PROJECT})}",
            "explore": f"/explore?{urlencode(question)}",
            "trace": f"/trace?{urlencode({'project': PROJECT, 'id': _corrected(address)})}",
        }
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = chromium.new_page(viewport=_SIZE)  # type: ignore[arg-type]
            for name, path in paths.items():
                _take(page, f"{address}{path}", _FOLDER / f"page-{name}.png")
            chromium.close()


def _corrected(address: str) -> str:
    """Return a trace of several reactions, with a value and a correction of its answer."""
    where = "?limit=200&where=" + quote("feedback.edits.0.original exists")
    corrected = {trace["trace_id"] for trace in _traces(address, where)}
    found = [
        trace
        for trace in _traces(address, "?limit=200")
        if trace["trace_id"] in corrected and trace["weighted_avg"] is not None
    ]
    return str(max(found, key=lambda trace: trace["feedback"])["trace_id"])


def _traces(address: str, query: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{address}/api/traces{query}") as answer:  # noqa: S310
        found: list[dict[str, Any]] = json.load(answer)["traces"]
    return found


def _take(page: Page, url: str, path: Path) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path.relative_to(_FOLDER.parent)}: {size:,} bytes")
    if size > _MAX_BYTES:
        sys.exit(f"It may have {_MAX_BYTES:,}.")


if __name__ == "__main__":
    main()
