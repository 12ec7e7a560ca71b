"""`afterword.js` in a real Chromium: whose vote a click changes, on pages that name their user."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import BrowserHarness

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Page]

CONTROLS = """
  <button data-afterword-thumb="up">Good</button> <button data-afterword-thumb="down">Bad</button>
  <button data-afterword-copy>Copy</button>
"""


def answer(user: str | int | None) -> str:
    """Return an answer as the page of a user has it."""
    metadata = json.dumps({"model": "a-2"} | ({} if user is None else {"_user": user}))
    return f"<div data-afterword data-trace-id=tr-1 data-metadata='{metadata}'>{CONTROLS}</div>"


def sign_in(tab: Page, site: "BrowserHarness", user: str | int | None) -> None:
    """Load the page anew, as another user's or nobody's."""
    site.page(answer(user))
    tab.reload()


def click(tab: Page, site: "BrowserHarness", name: str) -> None:
    """Click, and wait until that is sent."""
    tab.click(f"text={name}")
    site.advance(tab, 1)


def pressed(tab: Page) -> list[bool]:
    """Return which thumbs are shown as pressed."""
    thumbs = tab.locator("[data-afterword-thumb]").all()
    return [thumb.get_attribute("aria-pressed") == "true" for thumb in thumbs]


def rows(site: "BrowserHarness") -> list[tuple[Any, Any]]:
    """Return user and value of each row that is stored in the end, taken back ones left out."""
    stored: dict[str, dict[str, Any]] = {event["feedback_id"]: event for event in site.events}
    return [
        (event.get("metadata", {}).get("_user"), event["value"])
        for event in stored.values()
        if event.get("op") != "clear"
    ]


def test_a_user_changes_and_takes_back_a_vote(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Under one id, also after a reload."""
    tab = open_tab(answer("u-1"))
    click(tab, site, "Good")
    sign_in(tab, site, "u-1")
    assert pressed(tab) == [True, False]
    click(tab, site, "Bad")
    assert rows(site) == [("u-1", -1)]
    click(tab, site, "Bad")

    assert rows(site) == []
    assert pressed(tab) == [False, False]
    assert len({event["feedback_id"] for event in site.events}) == 1


@pytest.mark.parametrize("user", [1234567890123456789, 2**64 - 1, -7])
def test_a_user_whose_number_javascript_would_round_is_told_whole(
    open_tab: OpenTab, site: "BrowserHarness", user: int
) -> None:
    """The attribute is sent as it is, so what takes the vote back names the same digits."""
    tab = open_tab(answer(user))
    click(tab, site, "Good")
    assert rows(site) == [(user, 1)]
    click(tab, site, "Good")

    assert rows(site) == []


def test_another_user_has_a_vote_of_their_own(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """In the same browser, neither sees or changes the other's vote."""
    tab = open_tab(answer("u-1"))
    click(tab, site, "Good")
    sign_in(tab, site, 2)
    assert pressed(tab) == [False, False]
    click(tab, site, "Bad")
    assert rows(site) == [("u-1", 1), (2, -1)]
    click(tab, site, "Bad")
    assert rows(site) == [("u-1", 1)]
    sign_in(tab, site, "u-1")
    click(tab, site, "Bad")
    assert rows(site) == [("u-1", -1)]
    sign_in(tab, site, None)
    assert pressed(tab) == [False, False]
    click(tab, site, "Good")

    assert sorted(rows(site), key=str) == [("u-1", -1), (None, 1)]


@pytest.mark.parametrize(("name", "left"), [("Bad", [("u-1", -1)]), ("Good", [])])
def test_who_signs_in_takes_the_vote_along(
    open_tab: OpenTab, site: "BrowserHarness", name: str, left: list[tuple[str, int]]
) -> None:
    """A vote that was given before is shown, and is replaced or taken back."""
    tab = open_tab(answer(None))
    click(tab, site, "Good")
    tab.locator("[data-afterword]").evaluate(
        'answer => { answer.dataset.metadata = \'{"_user": "u-1"}\' }'
    )
    assert pressed(tab) == [True, False]
    click(tab, site, name)

    assert rows(site) == left
    assert pressed(tab) == [False, name == "Bad"]


def test_deeds_are_a_users_too(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Each has copied; who signs in and copies again has copied once."""
    tab = open_tab(answer(None))
    for user in (None, "u-1", "u-1", "u-2"):
        sign_in(tab, site, user)
        click(tab, site, "Copy")

    assert rows(site) == [("u-1", 1), ("u-2", 1)]


def test_a_call_that_names_no_user_changes_the_vote_that_is_known(
    open_tab: OpenTab, site: "BrowserHarness"
) -> None:
    """It is the vote of the thumbs, whoever's that is."""
    tab = open_tab(answer("u-1"))
    click(tab, site, "Good")
    tab.evaluate("() => afterword.rate('tr-1', 4)")
    site.advance(tab, 1)
    assert rows(site) == [("u-1", 4)]
    tab.evaluate("() => afterword.rate({ trace_id: 'tr-1', metadata: { _user: 'u-2' } }, -4)")
    site.advance(tab, 1)
    assert rows(site) == [("u-1", 4), ("u-2", -4)]
    tab.evaluate("() => afterword.rate('tr-1', null)")
    site.advance(tab, 1)

    assert rows(site) == [("u-1", 4)]


@pytest.mark.parametrize("metadata", ["{", "[]", "null", "7", '{"_user": null}', '{"_user": ""}'])
def test_metadata_that_names_nobody(
    open_tab: OpenTab, site: "BrowserHarness", metadata: str
) -> None:
    """A vote can be given and taken back; what is wrong with the metadata, the gateway says."""
    tab = open_tab(
        f"<div data-afterword data-trace-id=t data-metadata='{metadata}'>{CONTROLS}</div>"
    )
    click(tab, site, "Good")
    assert pressed(tab) == [True, False]
    click(tab, site, "Good")
    assert pressed(tab) == [False, False]
    assert rows(site) == []
