"""`afterword.js` in a real Chromium: what is said of an answer before its trace id is there."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error, Locator, Page, expect

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import BrowserHarness

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Page]

HOUR_S = 3_600
CONTROLS = """
  <button data-afterword-thumb="up">Good</button> <button data-afterword-thumb="down">Bad</button>
  <button data-afterword-copy>Copy</button>
  <textarea data-afterword-edit>On Monday.</textarea>
"""
FIRST = (
    f'<div id="first" data-afterword data-session-id="s-1" data-trace-id="tr-1">{CONTROLS}</div>'
)
STREAMING = f'<div class="new" data-afterword data-session-id="s-1">{CONTROLS}</div>'
WITH_ID = STREAMING.replace("<div ", '<div id="message-2" ')


def pressed(answer: Locator) -> tuple[str | None, str | None]:
    """Return `aria-pressed` of the thumbs of an answer."""
    up, down = answer.get_by_text("Good"), answer.get_by_text("Bad")
    return up.get_attribute("aria-pressed"), down.get_attribute("aria-pressed")


def end_stream(tab: Page, trace_id: str = "tr-2") -> None:
    """Give the answer that streams its trace id, and wait until the script has seen it."""
    end = """(answer, trace_id) => new Promise((seen) => {
      answer.dataset.traceId = trace_id;
      setTimeout(seen);
      new MutationObserver(seen).observe(answer, { attributes: true });
      answer.dataset.seen = "yes";
    })"""
    tab.locator(".new").evaluate(end, trace_id)


def said(site: "BrowserHarness") -> list[dict[str, Any]]:
    """Return what was published, without ids of events."""
    return [{name: event[name] for name in event if name != "feedback_id"} for event in site.events]


def thumb(value: int, **target: str) -> dict[str, Any]:
    """Return the event of a thumb."""
    return {"session_id": "s-1", **target, "value": value, "feedback": {"rating": value > 0}}


def test_a_vote_waits_for_the_trace_id(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """It shows where it was given and nowhere else, and becomes a vote on that answer."""
    tab = open_tab(FIRST + STREAMING)
    first, new = tab.locator("#first"), tab.locator(".new")
    new.get_by_text("Bad").click()
    site.advance(tab, 60)
    assert site.posts == []
    assert (pressed(first), pressed(new)) == (("false", "false"), ("false", "true"))
    end_stream(tab)
    assert (pressed(first), pressed(new)) == (("false", "false"), ("false", "true"))
    site.advance(tab, 1)

    assert said(site) == [thumb(-1, trace_id="tr-2")]
    tab.reload()
    tab.locator("#first").get_by_text("Good").click()
    site.advance(tab, 1)
    assert said(site)[1:] == [thumb(1, trace_id="tr-1")]


def test_answers_of_a_session_wait_apart(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Two that stream at once have a vote each; a vote on the session is a third."""
    tab = open_tab(STREAMING.replace("new", "other") + STREAMING)
    tab.locator(".other").get_by_text("Good").click()
    tab.locator(".new").get_by_text("Bad").click()
    tab.clock.fast_forward(10)
    tab.evaluate("() => afterword.rate({ session_id: 's-1' }, 5)")
    tab.clock.fast_forward(10)
    assert pressed(tab.locator(".other")) == ("true", "false")
    assert pressed(tab.locator(".new")) == ("false", "true")
    end_stream(tab)
    site.advance(tab, 1)

    assert said(site) == [{"session_id": "s-1", "value": 5}, thumb(-1, trace_id="tr-2")]


@pytest.mark.parametrize(
    ("clicks", "value"), [(["Good", "Bad"], -1), (["Good", "Bad", "Bad"], None), (["Bad"], -1)]
)
def test_a_vote_that_waits_may_change(
    open_tab: OpenTab, site: "BrowserHarness", clicks: list[str], value: int | None
) -> None:
    """What is sent in the end is the last of it."""
    tab = open_tab(STREAMING)
    for name in clicks:
        tab.locator(".new").get_by_text(name).click()
    end_stream(tab)
    site.advance(tab, 1)

    assert said(site) == [{"op": "clear"} if value is None else thumb(value, trace_id="tr-2")]


def test_deeds_wait_too(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Copying and editing a part of an answer is about the answer, not the conversation."""
    tab = open_tab(STREAMING.replace("data-afterword ", "data-afterword data-afterword-text "))
    tab.click("text=Copy")
    for text in ("On Tuesday.", "On Friday."):
        tab.fill("textarea", text)
        tab.locator("textarea").blur()
    site.advance(tab, 60)
    assert site.posts == []
    end_stream(tab)
    tab.fill("textarea", "On Sunday.")
    tab.locator("textarea").blur()
    site.advance(tab, 1)

    copied, edited = sorted(said(site), key=lambda event: sorted(event["feedback"]))
    assert (copied["trace_id"], copied["feedback"]) == ("tr-2", {"copied": True})
    assert edited["trace_id"] == "tr-2"
    assert edited["feedback"]["edits"] == [{"value": "On Sunday.", "original": "On Monday."}]


def test_metadata_may_come_with_the_trace_id(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A vote carries what the answer has in the end."""
    tab = open_tab(STREAMING)
    tab.click("text=Good")
    tab.locator(".new").evaluate('answer => { answer.dataset.metadata = \'{"model": "a-2"}\' }')
    end_stream(tab)
    site.advance(tab, 1)

    assert said(site) == [thumb(1, trace_id="tr-2") | {"metadata": {"model": "a-2"}}]


@pytest.mark.parametrize("empty", ["", 'data-session-id="s-1"'])
def test_an_empty_trace_id_promises_one(
    open_tab: OpenTab, site: "BrowserHarness", empty: str
) -> None:
    """So an answer without a session can wait, too."""
    answer = STREAMING.replace('data-session-id="s-1"', f'{empty} data-trace-id=""')
    tab = open_tab(answer)
    tab.click("text=Good")
    site.advance(tab, 60)
    assert site.posts == []
    end_stream(tab)
    site.advance(tab, 1)

    (event,) = said(site)
    assert (event["trace_id"], event["value"]) == ("tr-2", 1)


def test_an_answer_with_a_span_waits_where_a_trace_is_promised(
    open_tab: OpenTab, site: "BrowserHarness"
) -> None:
    """A span alone says what the answer is, so it is voted on at once, unless the page says otherwise."""
    span = STREAMING.replace("data-session-id", 'data-span-id="sp-1" data-session-id')
    tab = open_tab(
        span.replace("new", "other") + span.replace("data-span", 'data-trace-id="" data-span')
    )
    tab.locator(".other").get_by_text("Good").click()
    tab.locator(".new").get_by_text("Bad").click()
    site.advance(tab, 1)
    assert said(site) == [thumb(1, span_id="sp-1")]
    end_stream(tab)
    assert pressed(tab.locator(".new")) == ("false", "true")
    site.advance(tab, 1)

    assert said(site)[1:] == [thumb(-1, span_id="sp-1", trace_id="tr-2")]


@pytest.mark.parametrize("trace", ["", 'data-trace-id=""'])
def test_an_answer_may_be_a_whole_session(
    open_tab: OpenTab, site: "BrowserHarness", trace: str
) -> None:
    """Where the page says so, a thumb is a vote on the conversation at once."""
    answer = STREAMING.replace("data-afterword ", f'data-afterword="session" {trace} ')
    tab = open_tab(answer + answer)
    tab.locator("text=Good >> nth=0").click()
    site.advance(tab, 1)

    assert said(site) == [thumb(1)]
    for index in (0, 1):
        assert pressed(tab.locator(".new").nth(index)) == ("true", "false")


@pytest.mark.parametrize("way", ["reload", "crash", "replace", "other tab"])
def test_an_element_with_an_id_is_found_again(
    open_tab: OpenTab, site: "BrowserHarness", way: str
) -> None:
    """By another page or in another tab, or when a framework has replaced it."""
    tab = open_tab(FIRST + WITH_ID)
    tab.locator(".new").get_by_text("Bad").click()
    if way == "reload":
        tab.reload()
    elif way == "crash":
        crash(tab)
        tab = open_tab(FIRST + WITH_ID)
    elif way == "replace":
        tab.locator(".new").evaluate("answer => { answer.outerHTML = answer.outerHTML }")
    else:
        tab = open_tab(FIRST + WITH_ID)
    expect(tab.locator(".new").get_by_text("Bad")).to_have_attribute("aria-pressed", "true")
    site.advance(tab, 60)
    assert site.posts == []
    end_stream(tab)
    site.advance(tab, 1)

    assert said(site) == [thumb(-1, trace_id="tr-2")]
    assert pressed(tab.locator(".new")) == ("false", "true")


@pytest.mark.parametrize("answer", [STREAMING, WITH_ID])
def test_a_session_may_come_at_the_end_too(
    open_tab: OpenTab, site: "BrowserHarness", answer: str
) -> None:
    """A new conversation has none yet."""
    tab = open_tab(answer.replace('data-session-id="s-1"', 'data-trace-id=""'))
    tab.click("text=Good")
    tab.locator(".new").evaluate("answer => { answer.dataset.sessionId = 's-1' }")
    end_stream(tab)
    assert pressed(tab.locator(".new")) == ("true", "false")
    site.advance(tab, 1)

    assert said(site) == [thumb(1, trace_id="tr-2")]


def test_another_id_is_another_answer(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A list that shows another message in the same element does not take the vote along."""
    tab = open_tab(WITH_ID)
    tab.click("text=Good")
    tab.locator(".new").evaluate("answer => { answer.id = 'message-3' }")
    end_stream(tab, "tr-3")
    assert pressed(tab.locator(".new")) == ("false", "false")
    site.advance(tab, 60)
    assert site.posts == []


def test_a_page_may_come_back_with_the_trace_id(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """The next page shows the answer whole, and sends the vote."""
    tab = open_tab(WITH_ID)
    tab.click("text=Good")
    site.page(WITH_ID.replace("data-session-id", 'data-trace-id="tr-2" data-session-id'))
    tab.reload()
    assert pressed(tab.locator(".new")) == ("true", "false")
    site.advance(tab, 1)

    assert said(site) == [thumb(1, trace_id="tr-2")]


def test_a_later_vote_on_the_trace_stays(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """What waited is older than what was said of the trace meanwhile."""
    tab = open_tab(STREAMING)
    tab.click("text=Good")
    tab.clock.fast_forward(10)
    tab.evaluate("() => afterword.rate('tr-2', -1)")
    end_stream(tab)
    site.advance(tab, 1)

    assert said(site) == [{"trace_id": "tr-2", "value": -1}]
    assert pressed(tab.locator(".new")) == ("false", "true")


def test_a_vote_without_an_answer_is_sent_as_what_it_is(
    open_tab: OpenTab, site: "BrowserHarness"
) -> None:
    """The page went away before the trace id came: the session has it, marked, under an id of its own."""
    tab = open_tab(STREAMING)
    tab.click("text=Bad")
    tab.goto("about:blank")
    (event,) = site.wait(1)
    tab.goto(site.pages.origin)
    assert pressed(tab.locator(".new")) == ("false", "false")
    site.advance(tab, 1)
    tab.evaluate("() => afterword.rate({ session_id: 's-1' }, 5)")
    site.advance(tab, 1)

    streaming = {"session_id": "s-1", "value": -1, "feedback": {"rating": False, "streaming": True}}
    assert said(site) == [streaming, streaming, {"session_id": "s-1", "value": 5}]
    again, session = (later["feedback_id"] for later in site.events[1:])
    assert again == event["feedback_id"] != session


def test_a_vote_waits_for_an_hour(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Then it is sent as what it is: a stream that long is none."""
    tab = open_tab(WITH_ID)
    tab.click("text=Bad")
    site.advance(tab, HOUR_S - 1)
    tab.reload()
    site.advance(tab, 0.5)
    assert site.posts == []
    site.advance(tab, 2)
    tab.reload()
    site.advance(tab, 1)
    end_stream(tab)
    site.advance(tab, 1)

    assert {event["feedback_id"] for event in site.events} == {site.events[0]["feedback_id"]}
    for event in said(site):
        assert event == thumb(-1) | {"feedback": {"rating": False, "streaming": True}}


def test_a_vote_on_nothing_is_told(
    open_tab: OpenTab, site: "BrowserHarness", warnings: list[str]
) -> None:
    """Neither trace nor session came: the next page says so."""
    tab = open_tab(STREAMING.replace('data-session-id="s-1"', 'data-trace-id=""'))
    tab.click("text=Good")
    tab.reload()
    site.advance(tab, 1)

    assert site.events == []
    (warning,) = warnings
    assert warning.startswith("afterword: name what the feedback is about")


def test_votes_that_wait_are_bounded(
    open_tab: OpenTab, site: "BrowserHarness", warnings: list[str]
) -> None:
    """They share the room of what is unsent, and what had to go is counted."""
    answers = "".join(
        STREAMING.replace("s-1", "s" * 2_000).replace("<div ", f'<div id="message-{number}" ')
        for number in range(60)
    )
    tab = open_tab(answers)
    for number in range(60):
        tab.locator(f"#message-{number}").get_by_text("Good").dispatch_event("click")
        tab.clock.fast_forward(1)
    dropped = tab.evaluate("() => afterword.dropped")
    assert dropped == len(warnings) > 0
    assert pressed(tab.locator("#message-59")) == ("true", "false")
    assert pressed(tab.locator("#message-0")) == ("false", "false")


def crash(tab: Page) -> None:
    """Kill the process of a tab."""
    with pytest.raises(Error, match="crash"):
        tab.goto("chrome://crash")
    tab.close()
