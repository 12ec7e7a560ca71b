"""`afterword.js` in a real Chromium: what a page, and the people who read it, can say.

The pages are of another origin than the gateway, under a policy that allows them the gateway alone.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from afterword import Client, MemoryTransport
from afterword.gateway.browser.ids import browser_id
from afterword_schemas.event import read_event, uuid7_ms

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import BrowserHarness

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Page]

PRODUCERS = Path(__file__).parents[4] / "producers"
DOCUMENTATION = (PRODUCERS / "docs" / "browser.md").read_text("utf-8")
TARGET = {"trace_id": "tr-7f3", "session_id": "conversation-12"}
CONTROLS = """
  <p>The meeting is on Monday.</p>
  <button data-afterword-thumb="up">Good</button> <button data-afterword-thumb="down">Bad</button>
  <button data-afterword-copy>Copy</button>
  <button data-afterword-regenerate>Again</button>
  <button data-afterword-regenerate="too long">Shorter</button>
  <textarea data-afterword-edit>The meeting is on Monday.</textarea>
"""
ANSWER = f"""
<div data-afterword data-trace-id="tr-7f3" data-session-id="conversation-12">{CONTROLS}</div>
"""
WITH_TEXTS = ANSWER.replace("data-afterword ", "data-afterword data-afterword-text ")


def pressed(tab: Page) -> tuple[str | None, str | None]:
    """Return `aria-pressed` of the thumbs."""
    up, down = tab.get_by_text("Good"), tab.get_by_text("Bad")
    return up.get_attribute("aria-pressed"), down.get_attribute("aria-pressed")


def correct(tab: Page, text: str) -> None:
    """Write into the editor and leave it."""
    tab.fill("textarea", text)
    tab.locator("textarea").blur()


def copy_answer(tab: Page) -> None:
    """Select the answer and press Ctrl+C."""
    tab.locator("p").select_text()
    tab.keyboard.press("Control+C")


def test_a_thumb_is_a_vote(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A click becomes the event that `feedback()` of the SDK would be given."""
    tab = open_tab(ANSWER)
    assert pressed(tab) == ("false", "false")
    tab.click("text=Bad")
    site.advance(tab, 1)

    (event,) = site.wait(1)
    expected = TARGET | {"value": -1, "feedback": {"rating": False}}
    assert event == expected | {"feedback_id": event["feedback_id"]}
    assert pressed(tab) == ("false", "true")


def test_ids_are_time_ordered(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """An id is a UUID of version 7, made now, and no two are alike."""
    tab = open_tab()
    made = "() => [...Array(20)].map(() => afterword.feedback({trace_id: 't', value: 1}))"
    ids = tab.evaluate(made)
    site.advance(tab, 1)

    assert len(set(ids)) == 20
    for feedback_id in ids:
        assert UUID(feedback_id).version == 7
        assert UUID(feedback_id).variant == "specified in RFC 4122"
        assert abs((uuid7_ms(feedback_id) or 0) - time.time() * 1000) < 10_000
    assert {event["feedback_id"] for event in site.wait(20)} == set(map(site.stored, ids))


@pytest.mark.parametrize(
    ("clicks", "value", "shown"),
    [
        (["Good"], 1, ("true", "false")),
        (["Good", "Bad"], -1, ("false", "true")),
        (["Good", "Good"], None, ("false", "false")),
        (["Good", "Bad", "Bad"], None, ("false", "false")),
        (["Bad", "Bad", "Good"], 1, ("true", "false")),
    ],
)
def test_an_answer_has_one_vote(
    open_tab: OpenTab,
    site: "BrowserHarness",
    clicks: list[str],
    value: int | None,
    shown: tuple[str, str],
) -> None:
    """The other thumb replaces the vote, the same one takes it back, all under one id."""
    tab = open_tab(ANSWER)
    for sent, thumb in enumerate(clicks, start=1):
        tab.click(f"text={thumb}")
        site.advance(tab, 1)
        site.wait(sent)

    events = site.events
    assert len({event["feedback_id"] for event in events}) == 1
    assert len(events) == len(clicks)
    if value is None:
        assert events[-1] == {"feedback_id": events[0]["feedback_id"], "op": "clear"}
    else:
        assert events[-1]["value"] == value
    assert pressed(tab) == shown


def test_only_the_last_state_is_sent(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Of several clicks within the second, the gateway hears the last."""
    tab = open_tab(ANSWER)
    for thumb in ("Good", "Bad", "Good", "Bad"):
        tab.click(f"text={thumb}")
    site.advance(tab, 1)

    (event,) = site.wait(1)
    assert event["value"] == -1


def test_a_vote_outlives_the_page(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """After a reload the thumb is still pressed, and another vote replaces it."""
    tab = open_tab(ANSWER)
    tab.click("text=Good")
    site.advance(tab, 1)
    site.wait(1)
    tab.reload()
    assert pressed(tab) == ("true", "false")
    tab.click("text=Bad")
    site.advance(tab, 1)

    first, second = site.wait(2)
    assert first["feedback_id"] == second["feedback_id"]
    assert (first["value"], second["value"]) == (1, -1)


def test_a_rating_is_a_vote(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """`rate` and the thumbs change the same vote, and null takes it back."""
    tab = open_tab(ANSWER)
    rated = tab.evaluate("() => afterword.rate('tr-7f3', 4, {feedback: {comment: 'almost'}})")
    site.advance(tab, 1)
    site.wait(1)
    assert pressed(tab) == ("false", "false")
    tab.click("text=Good")
    site.advance(tab, 1)
    site.wait(2)
    tab.locator("p").evaluate("element => afterword.rate(element, -3)")
    site.advance(tab, 1)
    site.wait(3)
    cleared = tab.evaluate("() => afterword.rate({trace_id: 'tr-7f3'}, null)")
    site.advance(tab, 1)

    said = {"trace_id": "tr-7f3", "value": 4, "feedback": {"comment": "almost"}}
    assert rated == cleared
    assert pressed(tab) == ("false", "false")
    stored = {"feedback_id": site.stored(rated)}
    assert site.wait(4) == [
        said | stored,
        TARGET | {"value": 1, "feedback": {"rating": True}} | stored,
        TARGET | {"value": -3} | stored,
        {"op": "clear"} | stored,
    ]


def test_an_answer_is_what_its_ids_say(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Each trace has a vote, each of its spans, and each session that no trace is named with."""
    tab = open_tab()
    answers = [
        {"trace_id": "a"},
        {"trace_id": "b"},
        {"trace_id": "a", "span_id": "1"},
        {"trace_id": "a", "span_id": "2"},
        {"session_id": "1"},
        {"session_id": "2"},
        {"span_id": "1"},
    ]
    rate = "answers => answers.map((answer) => afterword.rate(answer, 1))"
    ids = tab.evaluate(rate, answers)

    assert len(set(ids)) == len(answers)
    assert tab.evaluate(rate, [{"trace_id": "a", "session_id": "2"}]) == ids[:1]


def test_feedback_is_sent_as_it_is(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """`feedback` takes an event of any structure, and adds no more than an id."""
    tab = open_tab()
    given = {
        "session_id": "conversation-12",
        "feedback": {"steps": [{"retry": True}], "comment": "čau 🙂"},
        "metadata": {"_user": "u-19", "n": 1},
        "metrics": {"ms": 0.5},
    }
    chosen = "0b9b5f5e-6f0a-4a51-9b1c-52a4b1a4f6a1"
    first = tab.evaluate("fields => afterword.feedback(fields)", given)
    second = tab.evaluate("fields => afterword.feedback(fields)", given | {"feedback_id": chosen})
    site.advance(tab, 1)

    assert second == chosen
    events = {event["feedback_id"]: event for event in site.wait(2)}
    ids = [browser_id("acme", own_id, "u-19") for own_id in (first, chosen)]
    assert events == {stored: given | {"feedback_id": stored} for stored in ids}


@pytest.mark.parametrize(
    ("page", "deed", "call"),
    [
        (ANSWER, lambda tab: tab.click("text=Copy"), lambda sdk: sdk.copied(**TARGET)),
        (ANSWER, copy_answer, lambda sdk: sdk.copied(**TARGET)),
        (
            WITH_TEXTS,
            copy_answer,
            lambda sdk: sdk.copied(text="The meeting is on Monday.", **TARGET),
        ),
        (ANSWER, lambda tab: tab.click("text=Again"), lambda sdk: sdk.regenerated(**TARGET)),
        (
            ANSWER,
            lambda tab: tab.click("text=Shorter"),
            lambda sdk: sdk.regenerated(reason="too long", **TARGET),
        ),
        (ANSWER, lambda tab: correct(tab, "On Friday."), lambda sdk: sdk.edited(**TARGET)),
        (
            WITH_TEXTS,
            lambda tab: correct(tab, "On Friday."),
            lambda sdk: sdk.edited(
                text="On Friday.", original="The meeting is on Monday.", **TARGET
            ),
        ),
    ],
    ids=["copy button", "copy", "copy text", "regenerate", "reason", "edit", "edit text"],
)
def test_a_deed_is_the_event_of_the_sdk(
    open_tab: OpenTab,
    site: "BrowserHarness",
    page: str,
    deed: Callable[[Page], None],
    call: Callable[[Client], str],
) -> None:
    """Fields, values and weights are the Python SDK's; texts go out where the page says so."""
    tab = open_tab(page)
    deed(tab)
    site.advance(tab, 1)
    site.wait(1)
    memory = MemoryTransport()
    call(Client(project="acme", transport=memory))

    (ours, our_leaves), (theirs, their_leaves) = (
        read_event(transport.messages[0].value) for transport in (site.transport, memory)
    )
    own = {"feedback_id", "updated_at"}
    assert ours.model_dump(exclude=own) == theirs.model_dump(exclude=own)
    assert our_leaves == their_leaves
    assert len(site.events) == 1


def test_a_deed_counts_once_an_answer(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """What is done again, by key or button or on the next visit, is the same event."""
    tab = open_tab(ANSWER)
    copy_answer(tab)
    tab.click("text=Copy")
    site.advance(tab, 1)
    site.wait(1)
    tab.reload()
    copy_answer(tab)
    tab.click("text=Again")
    site.advance(tab, 1)

    first, *again = site.wait(3)
    ids = {tuple(event["feedback"]): event["feedback_id"] for event in again}
    assert ids.keys() == {("copied",), ("regenerated",)}
    assert first["feedback_id"] == ids["copied",] != ids["regenerated",]


def test_an_edit_is_measured_from_the_answer(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Each edit replaces the one before, and one that restores the answer takes the event back."""
    tab = open_tab(WITH_TEXTS)
    for sent, text in enumerate(
        ["On Tuesday.", "On Friday.", "The meeting is on Monday."], start=1
    ):
        correct(tab, text)
        site.advance(tab, 1)
        site.wait(sent)

    first, second, third = site.events
    original = "The meeting is on Monday."
    assert first["feedback"]["edits"] == [{"value": "On Tuesday.", "original": original}]
    assert second["feedback"]["edits"] == [{"value": "On Friday.", "original": original}]
    assert third == {"op": "clear", "feedback_id": first["feedback_id"]}
    assert second["feedback_id"] == first["feedback_id"]


@pytest.mark.parametrize(
    ("editor", "keys"),
    [
        ("<p data-afterword-edit contenteditable tabindex=0>On Monday.</p>", ["!", "Tab"]),
        ("<input data-afterword-edit value='On Monday.'>", ["!", "Enter"]),
        ("<div data-afterword-edit><textarea tabindex=0>On Monday.</textarea></div>", ["!", "Tab"]),
    ],
    ids=["editable", "enter", "inside"],
)
def test_every_editor_is_watched(
    open_tab: OpenTab, site: "BrowserHarness", editor: str, keys: list[str]
) -> None:
    """An edit is told when the editor is left, or Enter is pressed in an input."""
    tab = open_tab(f"<div data-afterword data-trace-id=tr-1>{editor}</div><button></button>")
    tab.focus("[tabindex], input")
    for key in keys:
        tab.keyboard.press(key)
    site.advance(tab, 1)

    assert [event["feedback"] for event in site.events] == [{"edited": True}]


def test_the_script_may_come_late(visitor: BrowserContext, site: "BrowserHarness") -> None:
    """A script that comes when a person is already editing knows the text as it was then."""
    tab = visitor.new_page()
    tab.goto(site.show(WITH_TEXTS))
    tab.fill("textarea", "On Friday")
    tab.evaluate(
        """([src, key]) => new Promise((onload) => {
             const script = Object.assign(document.createElement("script"), { src, onload });
             script.dataset.key = key;
             document.head.append(script);
           })""",
        [f"{site.address}/afterword.js", site.key],
    )
    tab.fill("textarea", "On Friday.")
    tab.locator("textarea").blur()
    site.advance(tab, 1)

    (event,) = site.events
    assert event["feedback"]["edits"] == [{"value": "On Friday.", "original": "On Friday"}]


def test_looking_is_no_deed(open_tab: OpenTab, site: "BrowserHarness", warnings: list[str]) -> None:
    """Entering an editor, copying from elsewhere and clicking the text send nothing."""
    tab = open_tab(ANSWER + "<p id=other>Elsewhere.</p><textarea>Mine.</textarea>")
    tab.focus("[data-afterword-edit]")
    tab.locator("#other").select_text()
    tab.keyboard.press("Control+C")
    tab.fill("textarea >> nth=1", "Yours.")
    tab.click("p >> nth=0")
    tab.evaluate("() => afterword.feedback({trace_id: 'last', value: 1})")
    site.advance(tab, 1)

    assert [event["trace_id"] for event in site.events] == ["last"]
    assert warnings == []


def test_answers_may_come_later(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """An answer that is added, or gets its id at the end of its stream, works and shows its vote."""
    tab = open_tab('<main></main><div data-afterword id="streamed">' + CONTROLS + "</div>")
    tab.evaluate("() => afterword.rate('tr-7f3', 1)")
    tab.evaluate("html => document.querySelector('main').innerHTML = html", ANSWER)
    added, streamed = tab.locator("main"), tab.locator("#streamed")
    expect(added.get_by_text("Good")).to_have_attribute("aria-pressed", "true")
    expect(streamed.get_by_text("Good")).to_have_attribute("aria-pressed", "false")
    streamed.evaluate("element => { element.dataset.traceId = 'tr-7f3' }")
    expect(streamed.get_by_text("Good")).to_have_attribute("aria-pressed", "true")
    added.get_by_text("Bad").click()
    expect(streamed.get_by_text("Bad")).to_have_attribute("aria-pressed", "true")
    site.advance(tab, 1)

    (event,) = site.wait(1)
    assert event == TARGET | {
        "value": -1,
        "feedback": {"rating": False},
        "feedback_id": event["feedback_id"],
    }


def test_an_answer_may_carry_metadata(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """`data-metadata` goes along with votes and deeds."""
    metadata = """data-span-id="sp-1" data-metadata='{"model": "aurora-2", "_prompt": "v2"}'"""
    tab = open_tab(ANSWER.replace("data-trace-id", f"{metadata} data-trace-id"))
    tab.click("text=Good")
    tab.click("text=Copy")
    site.advance(tab, 1)

    for event in site.wait(2):
        assert event["metadata"] == {"model": "aurora-2", "_prompt": "v2"}
        assert event["span_id"] == "sp-1"


def test_a_page_cannot_hide_clicks(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A page that stops its events, or takes the button away, does not stop ours."""
    tab = open_tab(ANSWER)
    tab.evaluate(
        """() => document.body.addEventListener("click", (event) => {
             event.stopImmediatePropagation(); event.target.remove();
           }, true)"""
    )
    tab.click("text=Good")
    site.advance(tab, 1)

    assert [event["value"] for event in site.wait(1)] == [1]


def test_an_answer_without_ids_is_no_vote(
    open_tab: OpenTab, site: "BrowserHarness", warnings: list[str]
) -> None:
    """The console says what is missing, and no thumb pretends."""
    tab = open_tab("<div data-afterword>" + CONTROLS + "</div>")
    tab.click("text=Good")
    tab.click("text=Copy")

    assert pressed(tab) == ("false", "false")
    assert warnings == ["afterword: Error: no data-trace-id"] * 2
    assert site.events == []


def test_no_call_throws(open_tab: OpenTab, warnings: list[str]) -> None:
    """What cannot be sent is told to the console, never thrown at the page."""
    tab = open_tab()
    calls = [
        "feedback()",
        "feedback({value: 10n})",
        "feedback((() => { const a = {}; a.a = a; return a })())",
        "rate()",
        "rate(null, 1)",
        "rate({}, 1)",
        "rate(7, 1)",
    ]
    for call in calls:
        assert tab.evaluate(f"() => afterword.{call} === undefined"), call

    assert len(warnings) == len(calls)
    assert all(warning.startswith("afterword: ") for warning in warnings)


def test_without_keys_it_needs_none(visitor: BrowserContext, open_site: "BrowserHarness") -> None:
    """A gateway of this machine that has no keys takes what a page without `data-key` sends."""
    tab = visitor.new_page()
    tab.goto(open_site.page(ANSWER))
    tab.click("text=Good")
    open_site.advance(tab, 1)

    assert [event["value"] for event in open_site.events] == [1]
    assert pressed(tab) == ("true", "false")


def test_a_missing_key_is_told(
    open_tab: OpenTab, site: "BrowserHarness", warnings: list[str]
) -> None:
    """A gateway that has keys says so on the console, with the next step; the page stops there."""
    tab = open_tab(ANSWER, key="")
    for thumb in ("Good", "Bad"):
        tab.click(f"text={thumb}")
        site.advance(tab, 1)

    (warning,) = warnings
    assert warning.startswith("afterword: The page sent no key, and this gateway has keys.")
    assert site.posts == ["cors 401"]


def test_a_script_that_knows_no_gateway_says_so(
    visitor: BrowserContext, site: "BrowserHarness", warnings: list[str]
) -> None:
    """A copy of it inside the page: one warning; calls and clicks are taken and lost."""
    source = (PRODUCERS / "afterword/gateway/browser/static/afterword.js").read_text("utf-8")
    site.pages.policy = "default-src 'unsafe-inline'"
    tab = visitor.new_page()
    tab.goto(site.show(f"<script>{source}</script>" + ANSWER))
    tab.click("text=Good")
    tab.evaluate("() => afterword.feedback({trace_id: 't', value: 1}) || afterword.rate('t', 1)")
    tab.clock.fast_forward(1000)

    assert warnings == ["afterword: no src, nothing is sent"]
    assert tab.evaluate("() => localStorage.length") == 0


def test_a_page_may_send_json_in_a_beacon(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A page's own `sendBeacon` of JSON passes the preflight, which asks for credentials."""
    tab = open_tab()
    send = """([address, key]) => navigator.sendBeacon(`${address}/v1/beacon`, new Blob(
      [JSON.stringify({ key, events: [{ trace_id: "tr-1", value: 1 }] })],
      { type: "application/json" }))"""
    assert tab.evaluate(send, [site.address, site.key])

    assert [event["trace_id"] for event in site.wait(1)] == ["tr-1"]


def test_two_script_tags_are_one(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A page that loads the script twice does not take each vote back at once."""
    again = f'<script src="{site.address}/afterword.js?2" data-key="{site.key}" defer></script>'
    tab = open_tab(again + ANSWER)
    tab.click("text=Good")
    site.advance(tab, 1)

    assert [event["value"] for event in site.wait(1)] == [1]
    assert pressed(tab) == ("true", "false")


def test_the_first_example_works(visitor: BrowserContext, site: "BrowserHarness") -> None:
    """The page of the documentation, with another address and key, does what it says."""
    (html,) = re.findall(r"```html\n(.*?)```", DOCUMENTATION, flags=re.DOTALL)
    tab = visitor.new_page()
    tab.goto(site.show(html.replace("aw_publish_…", site.key)))
    tab.click("text=👍")
    tab.click("text=Again")
    site.advance(tab, 1)

    said = [event["feedback"] for event in site.wait(2)]
    assert sorted(said, key=str) == [{"rating": True}, {"regenerated": True}]


def test_the_calls_of_the_documentation_work(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Each call returns the id of its event, and those on one answer return the same."""
    (calls,) = re.findall(r"```js\n(.*?)```", DOCUMENTATION, flags=re.DOTALL)
    tab = open_tab(ANSWER)
    feedback, rated, session, element, cleared = tab.locator("p").evaluate(
        f"target => {{ const event = {{target}}; return [{calls.replace(';', ',')}] }}"
    )
    site.advance(tab, 1)

    assert rated == element == cleared
    assert len({feedback, rated, session}) == 3
    stored = {event["feedback_id"] for event in site.wait(3)}
    assert stored == set(map(site.stored, (feedback, rated, session)))


def test_the_beacon_of_the_documentation_works(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A page without the script sends an event, as the documentation shows."""
    (example,) = re.findall(r"```javascript\n(.*?)```", DOCUMENTATION, flags=re.DOTALL)
    example = example.replace("https://gateway.example.com", site.address)
    tab = open_tab()
    tab.evaluate(f"() => {{ {example.replace('aw_publish_…', site.key)} }}")

    assert [event["trace_id"] for event in site.wait(1)] == ["tr-7f3"]


def test_the_example_page_works(visitor: BrowserContext, site: "BrowserHarness") -> None:
    """The page that is shipped votes, asks why, and sends the reason with the same vote."""
    html = (PRODUCERS / "examples" / "browser.html").read_text("utf-8")
    site.pages.policy = f"default-src 'self' 'unsafe-inline' {site.address}"
    tab = visitor.new_page()
    tab.goto(site.show(html.replace(" defer", f' data-key="{site.key}" defer')))
    tab.click("text=👎")
    tab.fill("input", "missed the room")
    tab.click("text=Send")
    site.advance(tab, 1)

    (event,) = site.wait(1)
    assert event["feedback"] == {"rating": False, "comment": "missed the room"}
    assert event["metadata"] == {"model": "aurora-2", "_prompt": "summarise-v2"}
