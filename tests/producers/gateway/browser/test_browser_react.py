"""`afterword.js` with React in a real Chromium: editors that are mounted while somebody edits."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect
from tests.producers.gateway.browser.npm_scripts import fetch_scripts

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import BrowserHarness

pytestmark = [pytest.mark.browser, pytest.mark.npm]

Render = Callable[..., Page]
Act = Callable[[Page], None]

DOCUMENTATION = Path(__file__).parents[4] / "producers" / "docs" / "browser.md"
(MARKED,) = re.findall(r"```jsx\n(.*?)```", DOCUMENTATION.read_text("utf-8"), flags=re.DOTALL)
QUICKSTART = DOCUMENTATION.with_name("quickstart-backend.md")
UNMARKED = MARKED.replace("data-afterword-save", "").replace("data-afterword-cancel", "")
FORM = """
function Answer({ traceId, answer, onSave }) {
  const [draft, setDraft] = useState(null);
  const submit = (event) => { event.preventDefault(); onSave(draft); setDraft(null); };
  return (
    <div data-afterword data-afterword-text data-trace-id={traceId} data-session-id="s-1">
      <button data-afterword-thumb="up">Good</button>
      {draft === null
        ? <><p>{answer}</p><button onClick={() => setDraft(answer)}>Edit</button></>
        : <form onSubmit={submit}>
            <input data-afterword-edit autoFocus value={draft} onChange={(event) => setDraft(event.target.value)} />
            <button>Save</button> <button type="button" onClick={() => setDraft(null)}>Cancel</button>
          </form>}
    </div>
  );
}
"""
APP = """
function App() {
  const [answer, setAnswer] = useState("On Monday.");
  const [traceId, setTraceId] = useState(window.firstTrace);
  window.endStream = setTraceId;
  return <Answer traceId={traceId} answer={answer} onSave={setAnswer} />;
}
ReactDOM.createRoot(document.querySelector("main")).render(<App />);
"""


@pytest.fixture(scope="session")
def scripts() -> list[str]:
    """The sources of React, ReactDOM and Babel."""
    return fetch_scripts()


@pytest.fixture
def render(open_tab: Callable[..., Page], scripts: list[str]) -> Render:
    """A function that shows a component `Answer` of this JSX."""

    def render_page(component: str, first_trace: str | None = "tr-1") -> Page:
        tab = open_tab("<main></main>")
        for script in scripts:
            tab.evaluate(f"() => {{ {script} }}")
        jsx = f"const {{ useState }} = React; {component.replace('import', '// import')} {APP}"
        translate = "(jsx) => Babel.transform(jsx, { presets: ['react'] }).code"
        tab.evaluate("trace => { window.firstTrace = trace ?? undefined }", first_trace)
        tab.evaluate(f"() => {{ {tab.evaluate(translate, jsx)} }}")
        expect(tab.get_by_text("Edit")).to_be_visible()
        return tab

    return render_page


def edit(tab: Page, text: str) -> None:
    """Open the editor and write, as a person does."""
    tab.get_by_text("Edit").click()
    tab.keyboard.press("Control+A")
    tab.keyboard.type(text)


def click(name: str) -> Act:
    """Return what clicks a button."""
    return lambda tab: tab.get_by_role("button", name=name).click()


def press(key: str) -> Act:
    """Return what presses a key."""
    return lambda tab: tab.keyboard.press(key)


def edits(site: "BrowserHarness") -> list[Any]:
    """Return the texts that were published, in order."""
    return [event["feedback"]["edits"] for event in site.events]


@pytest.mark.parametrize(
    ("component", "end"),
    [
        (MARKED, click("Save")),
        (MARKED, press("Control+Enter")),
        (FORM, click("Save")),
        (FORM, press("Enter")),
    ],
    ids=["button", "key", "form", "enter"],
)
def test_a_saved_text_is_an_edit(
    render: Render, site: "BrowserHarness", component: str, end: Act
) -> None:
    """Also a second time, when another editor is mounted on the text of the first edit."""
    tab = render(component)
    for text in ("On Friday.", "On Sunday."):
        edit(tab, text)
        end(tab)
        expect(tab.get_by_text(text)).to_be_visible()
        site.advance(tab, 1)

    assert edits(site) == [
        [{"value": "On Friday.", "original": "On Monday."}],
        [{"value": "On Sunday.", "original": "On Monday."}],
    ]
    assert len({event["feedback_id"] for event in site.events}) == 1


@pytest.mark.parametrize(
    ("component", "end"),
    [
        (MARKED, click("Cancel")),
        (MARKED, press("Escape")),
        (UNMARKED, click("Cancel")),
        (UNMARKED, press("Escape")),
        (FORM, click("Cancel")),
    ],
    ids=["button", "escape", "unmarked button", "unmarked escape", "form"],
)
def test_a_cancelled_text_is_no_edit(
    render: Render, site: "BrowserHarness", component: str, end: Act
) -> None:
    """However often, and whether or not the page marks the button."""
    tab = render(component)
    for _ in range(2):
        edit(tab, "On Friday.")
        end(tab)
        expect(tab.get_by_text("On Monday.")).to_be_visible()
        site.advance(tab, 2)

    assert site.posts == []


def test_an_answer_that_streams_may_be_voted_on(render: Render, site: "BrowserHarness") -> None:
    """React leaves the attribute out until there is a trace id, and keeps the element."""
    tab = render(FORM, None)
    tab.get_by_text("Good").click()
    site.advance(tab, 60)
    assert site.posts == []
    tab.evaluate("() => endStream('tr-2')")
    tab.wait_for_selector("[data-trace-id=tr-2]")
    expect(tab.get_by_text("Good")).to_have_attribute("aria-pressed", "true")
    site.advance(tab, 1)

    assert [(event["trace_id"], event["value"]) for event in site.events] == [("tr-2", 1)]


def test_the_quick_start_sends_a_vote_about_the_trace_of_the_answer(
    open_tab: Callable[..., Page], scripts: list[str], site: "BrowserHarness"
) -> None:
    """The app of the quick start for backend developers asks its service, and shows the thumbs."""
    (jsx,) = re.findall(r"```jsx\n(.*?)```", QUICKSTART.read_text("utf-8"), flags=re.DOTALL)
    jsx = jsx.replace('import { useState } from "react";', "const { useState } = React;")
    jsx = jsx.replace("export default ", "")
    jsx += 'ReactDOM.createRoot(document.querySelector("main")).render(<App />);'
    site.pages.policy += " 'self'"  # the last directive is connect-src: a page asks its own server
    tab = open_tab("<main></main>")
    answer = {"trace_id": "tr-9", "text": "On Friday."}
    tab.route("**/api/answer", lambda route: route.fulfill(json=answer))
    for script in scripts:
        tab.evaluate(f"() => {{ {script} }}")
    translate = "(jsx) => Babel.transform(jsx, { presets: ['react'] }).code"
    tab.evaluate(f"() => {{ {tab.evaluate(translate, jsx)} }}")

    tab.get_by_text("Ask").click()
    tab.get_by_text("Good").click()
    expect(tab.get_by_text("Good")).to_have_attribute("aria-pressed", "true")
    site.advance(tab, 1)

    assert [(event["trace_id"], event["value"]) for event in site.events] == [("tr-9", 1)]
