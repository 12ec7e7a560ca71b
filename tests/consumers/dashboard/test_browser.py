"""The pages in a real browser: painted, usable by keyboard, within the screen, in both themes, without a fault."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.consumers.dashboard.conftest import Open, listen

if TYPE_CHECKING:
    from tests.consumers.dashboard.conftest import PageHarness

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/explore?group_by=metadata.model&bucket=day",
    "/explore?measure=feedback.step1.latency_ms&group_by=metadata._prompt",
    "/explore?measure=thumbs&group_by=metadata.model",
    "/explore?compare=before",
    "/traces",
    "/trace?id=t-599",
    "/rejected",
    "/pipeline",
)
WIDTHS = (1440, 1024, 390)
_AXE = Path(__file__).parents[2] / "vendor" / "axe-4.14.1.min.js"
_PAINTED = """() => [...document.querySelectorAll(".canvas canvas")].map((canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.some((each) => each !== 0);
})"""


@pytest.fixture(scope="module")
def site(full: "PageHarness") -> Iterator[str]:
    """Where the pages of four weeks of feedback are."""
    with listen(full) as address:
        yield address


@pytest.fixture
def empty(pages: "PageHarness") -> Iterator[str]:
    """Where the pages of an empty database are."""
    with listen(pages) as address:
        yield address


@pytest.mark.parametrize("path", PAGES)
def test_charts_are_painted_and_nothing_is_wide(site: str, visit: Open, path: str) -> None:
    """At three widths and in both themes."""
    for width, theme in zip(WIDTHS, ("light", "dark", "dark"), strict=True):
        page = visit(site + path, width, theme)
        charts = page.locator("figure.chart").count()
        if charts:
            page.wait_for_selector("html[data-ready]")
        assert page.evaluate(_PAINTED) == [True] * charts
        wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{path} is {wide} pixels too wide at {width}"


@pytest.mark.parametrize("path", [*PAGES, "/explore?measure=feedback.none"])
def test_nothing_keeps_a_person_out(site: str, visit: Open, path: str) -> None:
    """Nothing that axe calls serious or critical, on a wide light screen and on a dark phone."""
    for width, theme in ((1440, "light"), (390, "dark")):
        # axe is no part of the page, so the page's policy does not hold for it.
        page = visit(site + path, width, theme, bypass_csp=True)
        page.add_script_tag(content=_AXE.read_text("utf-8"))
        found = page.evaluate("async () => (await axe.run()).violations")
        serious = [
            (each["id"], [node["html"][:160] for node in each["nodes"][:3]])
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]
        assert serious == []


def test_an_empty_stack_is_a_page_too(pages: "PageHarness", empty: str, visit: Open) -> None:
    """It lets a person copy what to run, and shows the first feedback by itself."""
    page = visit(empty)
    expect(page.get_by_role("button", name="Copy").first).to_be_visible()
    pages.store(pages.give(1, 0.01, value=1, feedback={"rating": True}))
    expect(page.get_by_role("heading", level=1)).not_to_contain_text(
        "No feedback yet", timeout=15_000
    )


def test_all_but_the_charts_works_without_script(site: str, visit: Open) -> None:
    """A question is asked by a form, and its answer is a table."""
    page = visit(site + "/explore", java_script_enabled=False)
    page.get_by_label("First group").fill("metadata.model")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thumbs up by metadata.model")
    expect(
        page.get_by_role("cell", name="aurora-2").or_(
            page.get_by_role("rowheader", name="aurora-2")
        )
    ).to_be_visible()
    page.get_by_label("Add a filter").fill("metadata.model = aurora-1")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("link", name="Remove filter metadata.model = aurora-1").click()
    expect(page.get_by_role("rowheader", name="aurora-2")).to_be_visible()


def test_the_keyboard_alone_asks_a_question(site: str, visit: Open) -> None:
    """From the skip link to the answer."""
    page = visit(site + "/explore")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    for _ in range(3):
        if page.evaluate("() => document.activeElement.id") == "measure":
            break
        page.keyboard.press("Tab")
    expect(page.get_by_label("Measure")).to_be_focused()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("weighted")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Weighted feedback")


def test_a_tooltip_writes_names_as_text(pages: "PageHarness", empty: str, visit: Open) -> None:
    """Also such as would be markup."""
    name = "<img src=x onerror=alert(1)>"
    pages.store(
        *(
            pages.give(at, at / 50, feedback={"rating": at % 3 > 0}, metadata={"model": name})
            for at in range(300)
        )
    )
    page = visit(empty + "/explore?group_by=metadata.model&bucket=day")
    page.wait_for_selector("html[data-ready]")
    box = page.locator(".canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".tip")).to_contain_text(name)
    assert page.locator(".tip img").count() == 0
