"""`afterword.js` in a real Chromium: every event arrives, whatever becomes of tab, network and gateway.

Time stands still in the pages, so that nothing is sent until a test puts the clock forward.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Request, expect
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import BrowserHarness

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Page]

ANSWER = """
<div data-afterword data-trace-id="tr-7f3">
  <button data-afterword-thumb="up">Good</button> <button data-afterword-thumb="down">Bad</button>
  <textarea data-afterword-edit>On Monday.</textarea>
</div>
"""
UNSENT = "() => Object.values(localStorage).filter((text) => JSON.parse(text).event).length"


def say(tab: Page, *traces: str, size: int = 1) -> None:
    """Give feedback on traces."""
    call = "([traces, text]) => traces.map((trace_id) => afterword.feedback({trace_id, feedback: {text}}))"
    tab.evaluate(call, [traces, "x" * size])


def touch(tab: Page, site: "BrowserHarness") -> None:
    """Have the page ask the gateway for something, so that requests begun before are on their way."""
    tab.evaluate("address => fetch(address)", f"{site.address}/afterword.js")


def numbered(count: int) -> list[str]:
    """Return names of traces."""
    return [f"tr-{number:03}" for number in range(count)]


def traces(site: "BrowserHarness") -> list[str]:
    """Return which traces events were published of, in order of their names."""
    return sorted(event["trace_id"] for event in site.events)


@pytest.fixture
def attempts(visitor: BrowserContext) -> list[str]:
    """The requests with events that pages began, answered or not."""
    begun: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            begun.append(request.url)

    visitor.on("request", note)
    return begun


def test_events_go_out_together(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """What is said within a second is one request, up to 20 events; none is kept."""
    tab = open_tab()
    say(tab, *numbered(45))
    for _ in range(4):
        site.advance(tab, 1)

    assert traces(site) == numbered(45)
    assert site.posts == ["cors 200"] * 3
    assert tab.evaluate("() => localStorage.length") == 0


def test_a_page_that_goes_away_sends_a_beacon(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Leaving sends at once, an unfinished edit too; the next visit makes sure, once."""
    tab = open_tab(ANSWER)
    tab.click("text=Good")
    tab.fill("textarea", "On Friday.")
    tab.goto("about:blank")
    site.wait(2)
    tab.goto(site.pages.origin)
    assert tab.evaluate(UNSENT) == 2
    site.advance(tab, 1)
    assert tab.evaluate(UNSENT) == 0
    tab.reload()
    site.advance(tab, 1)

    first, second, *again = site.events
    said = [event["feedback"] for event in (first, second)]
    assert sorted(said, key=str) == [{"edited": True}, {"rating": True}]
    assert sorted(again, key=str) == sorted([first, second], key=str)
    assert site.posts == ["no-cors 200", "cors 200"]


def test_a_tab_that_dies_loses_nothing(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """The next tab sends what a crashed one had not."""
    tab = open_tab(ANSWER)
    tab.click("text=Good")
    with pytest.raises(Error, match="crash"):
        tab.goto("chrome://crash")
    tab.close()
    assert site.events == []
    tab = open_tab(ANSWER)
    site.advance(tab, 1)

    assert [event["value"] for event in site.events] == [1]
    assert tab.evaluate(UNSENT) == 0


def test_offline_events_arrive_once(
    open_tab: OpenTab, site: "BrowserHarness", visitor: BrowserContext
) -> None:
    """What is said without a network is sent when it is back, without waiting for a retry."""
    tab = open_tab()
    visitor.set_offline(True)
    say(tab, "tr-1", "tr-2")
    site.advance(tab, 1)
    say(tab, "tr-3")
    site.advance(tab, 600)
    assert (site.events, tab.evaluate(UNSENT)) == ([], 3)
    visitor.set_offline(False)
    site.wait(3)
    site.rest(tab)
    tab.reload()
    site.advance(tab, 1)

    assert traces(site) == ["tr-1", "tr-2", "tr-3"]
    assert tab.evaluate(UNSENT) == 0


def test_retries_are_rarer_and_rarer(
    open_tab: OpenTab, site: "BrowserHarness", visitor: BrowserContext, attempts: list[str]
) -> None:
    """Without an answer the wait doubles from 2 seconds to 5 minutes, plus up to a quarter."""
    tab = open_tab()
    visitor.set_offline(True)
    say(tab, "tr-1")
    site.advance(tab, 1)
    for tries, wait_s in enumerate((2, 4, 8, 16, 32, 64, 128, 256, 300, 300), start=1):
        site.advance(tab, wait_s - 0.1)
        say(tab, f"tr-{tries}")  # does not make it hurry
        assert len(attempts) == tries
        site.advance(tab, wait_s / 4 + 0.1)
        assert len(attempts) == tries + 1


def test_a_gateway_says_when_to_come_back(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """With the broker away it asks for 2 seconds; each time takes longer; then all is delivered."""
    tab = open_tab()
    site.transport.fail()
    say(tab, "tr-1", "tr-2")
    site.advance(tab, 1)
    site.advance(tab, 1.9)
    assert site.posts == ["cors 503"]
    site.advance(tab, 0.7)
    assert site.posts == ["cors 503"] * 2
    site.transport.recover()
    site.advance(tab, 3.9)
    assert site.posts == ["cors 503"] * 2
    site.advance(tab, 1.2)

    assert site.posts == ["cors 503", "cors 503", "cors 200"]
    assert traces(site) == ["tr-1", "tr-2"]
    assert tab.evaluate(UNSENT) == 0
    site.transport.fail()
    say(tab, "tr-3")
    site.advance(tab, 1)
    site.transport.recover()
    site.advance(tab, 2.6)
    assert site.posts[3:] == ["cors 503", "cors 200"]


def test_a_page_that_was_told_to_wait_sends_no_beacon(
    open_tab: OpenTab, site: "BrowserHarness"
) -> None:
    """Leaving is no reason to press a gateway that asked for time; the next visit sends it."""
    tab = open_tab()
    site.transport.fail()
    say(tab, "tr-1")
    site.advance(tab, 1)
    tab.goto("about:blank")
    site.transport.recover()
    tab.goto(site.pages.origin)
    site.advance(tab, 1)

    assert site.posts == ["cors 503", "cors 200"]


def test_a_limit_delays_and_loses_nothing(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """The key takes 60 events a minute: the 61st is sent when the gateway says, and no request more."""
    tab = open_tab()
    say(tab, *numbered(61))
    for _ in range(4):
        site.advance(tab, 1)
    expected = ["cors 200", "cors 200", "cors 200", "cors 429"]
    assert site.posts == expected
    site.advance(tab, 0.9)
    assert site.posts == expected
    while tab.evaluate(UNSENT):  # the gateway's clock was not put forward
        site.advance(tab, 2.6)

    assert traces(site) == numbered(61)


def test_a_batch_above_the_rate_limit_is_split(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Of 8 events with a key for 5 a minute 4 are sent, and 4 when the gateway says: in 36 seconds."""
    tab = open_tab(key=site.public_key)
    say(tab, *numbered(8))
    for _ in range(3):
        site.advance(tab, 1)
    expected = ["cors 413", "cors 200", "cors 429"]
    assert site.posts == expected
    assert (len(site.events), tab.evaluate(UNSENT)) == (4, 4)
    site.advance(tab, 35)
    assert site.posts == expected
    site.advance(tab, 12)

    assert site.posts == [*expected, "cors 429"]  # the gateway's clock was not put forward


def test_a_silent_gateway_is_asked_again(
    open_tab: OpenTab, site: "BrowserHarness", attempts: list[str]
) -> None:
    """After 30 seconds without an answer a request is given up."""
    tab = open_tab()
    site.transport.hold()
    say(tab, "tr-1")
    with tab.expect_request("**/v1/beacon"):
        tab.clock.fast_forward(1000)
    tab.clock.fast_forward(29_000)
    touch(tab, site)
    assert tab.evaluate("() => navigator.locks.query().then(({ held }) => held.length)") == 1
    site.advance(tab, 2)
    site.transport.release()
    site.advance(tab, 2.6)

    assert len(attempts) == 2
    assert "cors 503" not in site.posts  # it was the page that gave up
    assert len({event["feedback_id"] for event in site.events}) == 1
    assert tab.evaluate(UNSENT) == 0


def test_no_retry_brings_an_older_vote_back(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A vote that changed while the gateway was away arrives as it is now."""
    tab = open_tab(ANSWER)
    site.transport.fail()
    tab.click("text=Good")
    site.advance(tab, 1)
    tab.click("text=Bad")
    site.transport.recover()
    site.advance(tab, 3)

    assert [event["value"] for event in site.events] == [-1]


def test_an_answer_counts_for_the_state_that_was_sent(
    open_tab: OpenTab, site: "BrowserHarness"
) -> None:
    """A vote that changes while its request is on the way is sent again."""
    tab = open_tab(ANSWER)
    site.transport.hold()
    tab.click("text=Good")
    tab.clock.fast_forward(1000)
    with tab.expect_response("**/v1/beacon"):
        tab.clock.fast_forward(1)
        tab.click("text=Bad")
        site.transport.release()
    site.rest(tab)
    site.advance(tab, 1)

    assert [event["value"] for event in site.events] == [1, -1]
    assert tab.evaluate(UNSENT) == 0


def test_tabs_share_one_outbox(
    open_tab: OpenTab, site: "BrowserHarness", visitor: BrowserContext
) -> None:
    """Two tabs take turns: neither loses an event, and none is sent without end."""
    first, second = open_tab(ANSWER), open_tab(ANSWER)
    visitor.set_offline(True)
    names = numbered(50)
    say(first, *names[::2])
    say(second, *names[1::2])
    site.advance(first, 1)
    visitor.set_offline(False)
    for _ in range(4):
        site.advance(first, 1)
    assert set(traces(site)) == set(names)
    assert first.evaluate(UNSENT) == second.evaluate(UNSENT) == 0
    sent = len(site.posts)
    site.advance(first, 600)

    assert len(site.posts) == sent
    assert len({event["feedback_id"] for event in site.events}) == 50


def test_tabs_share_the_vote(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A vote shows in the other tab, where the other thumb replaces it."""
    first, second = open_tab(ANSWER), open_tab(ANSWER)
    first.click("text=Good")
    second.wait_for_selector("[data-afterword-thumb=up][aria-pressed=true]")
    second.click("text=Bad")
    first.wait_for_selector("[data-afterword-thumb=down][aria-pressed=true]")
    site.advance(first, 1)

    assert [event["value"] for event in site.events] == [-1]


def test_a_page_that_is_shown_again_shows_the_vote(
    open_tab: OpenTab, site: "BrowserHarness"
) -> None:
    """A page that comes back with the back button knows what another tab did meanwhile."""
    first, second = open_tab(ANSWER), open_tab(ANSWER)
    first.evaluate("() => { window.before = true }")
    first.goto("about:blank")
    second.click("text=Good")
    first.go_back(wait_until="commit")

    expect(first.get_by_text("Good")).to_have_attribute("aria-pressed", "true")
    assert first.evaluate("() => window.before")  # no reload


def test_a_full_storage_is_no_end(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Where the page's storage is full, events wait in memory."""
    tab = open_tab(ANSWER)
    tab.evaluate(
        """() => { for (let size = 2 ** 23; size >= 1; size >>= 1)
             try { localStorage.setItem(`host${size}`, "1".repeat(size)) } catch {} }"""
    )
    tab.click("text=Good")
    site.advance(tab, 1)
    tab.click("text=Bad")
    site.advance(tab, 1)

    first, second = site.events
    assert (first["value"], second["value"]) == (1, -1)
    assert first["feedback_id"] == second["feedback_id"]
    assert tab.evaluate("() => Object.keys(localStorage).every((name) => name.startsWith('host'))")


def test_storage_may_be_forbidden(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A page in a sandbox has neither storage nor locks, and sends all the same."""
    site.pages.policy += "; sandbox allow-scripts"
    tab = open_tab(ANSWER, key=site.public_key)
    with pytest.raises(Error, match="SecurityError"):
        tab.evaluate("() => localStorage")
    tab.click("text=Good")
    with tab.expect_response("**/v1/beacon"):
        tab.clock.fast_forward(1000)

    assert [event["value"] for event in site.wait(1)] == [1]


def test_a_page_without_tls_sends_too(
    site: "BrowserHarness", visitor: BrowserContext, attempts: list[str]
) -> None:
    """An intranet's plain HTTP has no locks, and still no request overtakes another of its page."""
    site.page(ANSWER, key=site.public_key)
    tab = visitor.new_page()
    tab.goto(site.pages.origin.replace("127.0.0.1", "intranet.test"))
    assert tab.evaluate("() => [isSecureContext, typeof navigator.locks]") == [False, "undefined"]
    site.transport.hold()
    for thumb in ("Good", "Bad"):
        tab.click(f"text={thumb}")
        tab.clock.fast_forward(1000)
        touch(tab, site)
    assert len(attempts) == 1
    site.transport.release()

    assert [event["value"] for event in site.wait(2)] == [1, -1]


def test_the_outbox_is_bounded(
    open_tab: OpenTab, site: "BrowserHarness", visitor: BrowserContext, warnings: list[str]
) -> None:
    """Of more than 100,000 characters the newest are kept, and the page is told of each that is not."""
    tab = open_tab()
    visitor.set_offline(True)
    for name in numbered(30):
        say(tab, name, size=5000)
        tab.clock.fast_forward(1)
    kept = tab.evaluate(UNSENT)
    assert kept == 19
    assert tab.evaluate("() => afterword.dropped") == 11
    assert warnings[-1] == "afterword: too much is unsent; dropped: 11"
    visitor.set_offline(False)
    for _ in range(4):
        site.advance(tab, 1)

    assert traces(site) == numbered(30)[11:]


def test_one_event_may_be_large(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """What no beacon can hold goes by itself, and takes nothing with it."""
    tab = open_tab()
    site.advance(tab, 1)
    say(tab, "tr-1")
    tab.clock.fast_forward(1)
    say(tab, "tr-2", size=80_000)
    tab.goto("about:blank")
    assert [event["trace_id"] for event in site.wait(1)] == ["tr-1"]
    tab.goto(site.pages.origin)
    for _ in range(3):
        site.advance(tab, 1)

    assert traces(site) == ["tr-1", "tr-1", "tr-2"]
    say(tab, "tr-3", size=200_000)
    assert tab.evaluate("() => afterword.dropped") == 1


def test_a_refused_event_is_told_and_forgotten(
    open_tab: OpenTab, site: "BrowserHarness", warnings: list[str]
) -> None:
    """The console says which event, where and why; the others go through, and nothing is repeated."""
    tab = open_tab()
    tab.evaluate("() => afterword.feedback({trace_id: 'tr-1', value: 11})")
    say(tab, "tr-2")
    site.advance(tab, 1)
    tab.reload()
    site.advance(tab, 1)

    assert traces(site) == ["tr-2"]
    (warning,) = warnings
    assert warning.startswith("afterword: value must be at most 10 out_of_range $.value")
    assert site.posts == ["cors 207"]


@pytest.mark.parametrize("wrong", ["key", "origin"])
def test_a_script_that_may_not_send_stops(
    site: "BrowserHarness",
    visitor: BrowserContext,
    warnings: list[str],
    attempts: list[str],
    wrong: str,
) -> None:
    """A key that is unknown, or bound to another site, ends it for this page; nothing is lost."""
    site.page(ANSWER, **({"key": "aw_publish_x_y"} if wrong == "key" else {}))
    tab = visitor.new_page()
    host = "127.0.0.1" if wrong == "key" else "intranet.test"
    tab.goto(site.pages.origin.replace("127.0.0.1", host))
    tab.click("text=Good")
    with tab.expect_response("**/v1/beacon"):
        tab.clock.fast_forward(1000)
    for name in ("tr-1", "tr-2"):
        say(tab, name)
        tab.clock.fast_forward(1_000_000)
        touch(tab, site)

    assert len(attempts) == 1
    assert site.posts == ["cors 401" if wrong == "key" else "cors 403"]
    wait_until(lambda: tab.evaluate("true") and warnings)  # what a page writes comes as an event
    assert len(warnings) == 1
    assert tab.evaluate(UNSENT) == 3
