"""`afterword.js` in a real Chromium: which edits count, and from what they are measured."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import BrowserHarness

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Page]
Act = Callable[[Page], None]

EDITOR = "<textarea data-afterword-edit>On Monday.</textarea>"
ENDS = "<button id=save>Save</button> <button id=cancel>Cancel</button>"
MARKED = (
    "<button data-afterword-save id=save>Save</button>"
    "<button data-afterword-cancel id=cancel>Cancel</button>"
)
FORM = f"<form>{EDITOR}<button id=save>Save</button><button type=reset id=cancel>Cancel</button></form>"
REMOVE = "() => [...document.querySelectorAll('[data-afterword-edit]')].pop().remove()"
RESTORE = "() => { document.querySelector('[data-afterword-edit]').value = 'On Monday.' }"


def answer(content: str) -> str:
    """Return an answer whose texts may be sent, and something outside of it."""
    marks = 'data-afterword data-afterword-text data-trace-id="tr-1"'
    return f"<div {marks}><p>On Monday.</p>{content}</div><button id=outside>Outside</button>"


def on_click(button: str, script: str) -> Act:
    """Return what makes a button do something, then writes into the editor and clicks it."""

    def act(tab: Page) -> None:
        tab.evaluate(f"() => {{ document.querySelector('#{button}').onclick = {script} }}")
        write(tab)
        tab.click(f"#{button}")

    return act


def write(tab: Page, text: str = "On Friday.") -> None:
    """Write into the editor, and stay there."""
    tab.locator("[data-afterword-edit]").last.fill(text)


def leave(tab: Page) -> None:
    """Write, and click somewhere else."""
    write(tab)
    tab.click("#outside")


def press(*keys: str) -> Act:
    """Return what writes and presses keys."""

    def act(tab: Page) -> None:
        write(tab)
        for key in keys:
            tab.keyboard.press(key)

    return act


def on_escape(script: str) -> Act:
    """Return what writes and presses Escape, on which the page does something."""

    def act(tab: Page) -> None:
        tab.evaluate(f"""() => document.addEventListener("keydown", (event) => {{
          if (event.key === "Escape") ({script})();
        }})""")
        press("Escape")(tab)

    return act


def cancel_by_keyboard(tab: Page) -> None:
    """Tab to a button that removes the editor, wait, and press it."""
    tab.evaluate(f"() => {{ document.querySelector('#cancel').onclick = {REMOVE} }}")
    press("Tab", "Tab")(tab)
    tab.clock.fast_forward(10_000)
    tab.keyboard.press("Enter")


def remove(tab: Page) -> None:
    """Write, and have the page take the editor away."""
    write(tab)
    tab.evaluate(REMOVE)


def hide(tab: Page) -> None:
    """Write, and leave the page."""
    write(tab)
    page = tab.url
    tab.goto("about:blank")
    tab.goto(page)


def edits(site: "BrowserHarness") -> list[Any]:
    """Return the texts that were published, in order."""
    return [event["feedback"]["edits"] for event in site.events]


@pytest.mark.parametrize(
    ("content", "act"),
    [
        (EDITOR, press("Escape", "Tab")),
        (EDITOR, on_escape(REMOVE)),
        (EDITOR, on_escape(RESTORE)),
        (EDITOR + ENDS, on_click("cancel", REMOVE)),
        (EDITOR + ENDS, on_click("cancel", RESTORE)),
        (EDITOR + ENDS, cancel_by_keyboard),
        (
            f"<div data-afterword-edit>{EDITOR}<input type=button id=cancel></div>",
            on_click("cancel", REMOVE),
        ),
        (EDITOR, remove),
        (EDITOR + MARKED, on_click("cancel", REMOVE)),
        (EDITOR + MARKED, on_click("cancel", "() => {}")),
        (EDITOR + MARKED, leave),
        (EDITOR + MARKED, remove),
        (EDITOR + MARKED, hide),
        (FORM, leave),
        (FORM, on_click("cancel", "() => {}")),
        (FORM, on_click("cancel", REMOVE)),
        (FORM, hide),
        (
            "<p data-afterword-edit contenteditable>On Monday.</p>",
            press("Escape", "Tab"),
        ),
    ],
)
def test_a_cancelled_text_is_no_edit(
    open_tab: OpenTab, site: "BrowserHarness", warnings: list[str], content: str, act: Act
) -> None:
    """With marks and in a form only saving counts; elsewhere Escape cancels, and so does what unmounts."""
    tab = open_tab(answer(content))
    act(tab)
    site.advance(tab, 1)
    tab.evaluate("() => afterword.feedback({trace_id: 'last', value: 1})")
    site.advance(tab, 1)

    assert [event["trace_id"] for event in site.events] == ["last"]
    assert warnings == []


def escape_and_go_on(tab: Page) -> None:
    """Press Escape, as one that closes a list does, then write on and leave."""
    press("Escape")(tab)
    tab.keyboard.type("!")
    write(tab)
    tab.click("#outside")


def save_on_blur(tab: Page) -> None:
    """Leave an editor that the page takes away when it is left, as editors in place do."""
    tab.evaluate(f"""() => document.querySelector("[data-afterword-edit]")
      .addEventListener("blur", {REMOVE})""")
    leave(tab)


def submit(tab: Page) -> None:
    """Submit a form that the page then takes away."""
    tab.evaluate(f"() => {{ document.forms[0].onsubmit = {REMOVE} }}")
    write(tab)
    tab.click("#save")


def save_by_call(tab: Page) -> None:
    """Save with a key of the page's own."""
    tab.evaluate(f"""() => document.addEventListener("keydown", ({{ target, key, ctrlKey }}) => {{
      if (key === "Enter" && ctrlKey) {{ afterword.save(target); ({REMOVE})(); }}
    }})""")
    press("Control+Enter")(tab)


@pytest.mark.parametrize(
    ("content", "act"),
    [
        (EDITOR, leave),
        (EDITOR, hide),
        (EDITOR, escape_and_go_on),
        (EDITOR, save_on_blur),
        (EDITOR + ENDS, on_click("save", "() => {}")),
        (EDITOR + MARKED, on_click("save", REMOVE)),
        (EDITOR + MARKED, save_by_call),
        (FORM, submit),
        (
            FORM.replace("textarea", "input").replace(">On Monday.", " value='On Monday.'>"),
            press("Enter"),
        ),
        ("<p data-afterword-edit contenteditable>On Monday.</p>", leave),
    ],
)
def test_a_saved_text_is_an_edit(
    open_tab: OpenTab, site: "BrowserHarness", content: str, act: Act
) -> None:
    """With a marked button, a form that is sent, a call, and elsewhere by leaving the editor."""
    tab = open_tab(answer(content))
    tab.evaluate(
        "() => { document.forms[0]?.addEventListener('submit', (event) => event.preventDefault()) }"
    )
    act(tab)
    site.advance(tab, 1)
    site.advance(tab, 1)

    assert {event["feedback_id"] for event in site.events} == {site.events[0]["feedback_id"]}
    assert edits(site)[0] == [{"value": "On Friday.", "original": "On Monday."}]


def test_an_edit_that_does_not_count_is_told(
    open_tab: OpenTab, site: "BrowserHarness", informed: list[str]
) -> None:
    """A save button that is not marked and removes its editor looks as one that cancels."""
    tab = open_tab(answer(EDITOR + ENDS))
    on_click("save", REMOVE)(tab)
    site.advance(tab, 1)

    assert informed == ["afterword: edit not counted: no data-afterword-save"]
    assert site.events == []


@pytest.mark.parametrize("button", ["save", "cancel"])
def test_a_marked_button_needs_no_word(
    open_tab: OpenTab, site: "BrowserHarness", informed: list[str], button: str
) -> None:
    """Nothing is told of what the page itself says."""
    tab = open_tab(answer(EDITOR + MARKED))
    on_click(button, REMOVE)(tab)
    site.advance(tab, 1)

    assert informed == []


def test_a_form_that_is_not_valid_saves_nothing(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """A save button that the browser refuses to submit waits for a valid form."""
    form = FORM.replace("</form>", "<input required></form>").replace(
        "id=save", "id=save data-afterword-save"
    )
    tab = open_tab(answer(form))
    tab.evaluate("() => { document.forms[0].onsubmit = () => false }")
    on_click("save", "() => {}")(tab)
    site.advance(tab, 1)
    assert site.events == []
    tab.fill("[required]", "now")
    tab.click("#save")
    site.advance(tab, 1)

    assert edits(site) == [[{"value": "On Friday.", "original": "On Monday."}]]


def test_an_edit_after_a_cancelled_one(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """It is measured from the answer, and what was cancelled is nowhere in it."""
    tab = open_tab(answer(EDITOR + MARKED))
    on_click("cancel", RESTORE)(tab)
    write(tab, "On Sunday.")
    tab.click("#outside")
    tab.focus("textarea")
    tab.click("#save")
    site.advance(tab, 1)

    assert edits(site) == [[{"value": "On Sunday.", "original": "On Monday."}]]


@pytest.mark.parametrize("way", ["again", "reload", "other tab", "mounted again"])
def test_a_second_edit_is_measured_from_the_answer(
    open_tab: OpenTab, site: "BrowserHarness", way: str
) -> None:
    """Where the page shows the first edit, the original is still what was there before it."""
    content = answer(EDITOR)
    tab = open_tab(content)
    leave(tab)
    site.advance(tab, 1)
    site.page(content.replace("On Monday.<", "On Friday.<"))
    if way == "reload":
        tab.reload()
    elif way == "other tab":
        tab = open_tab(content.replace("On Monday.<", "On Friday.<"))
    elif way == "mounted again":
        tab.locator("textarea").evaluate(
            "editor => { const text = editor.value; editor.outerHTML = editor.outerHTML;"
            " document.querySelector('textarea').value = text }"
        )
    write(tab, "On Sunday.")
    tab.click("#outside")
    site.advance(tab, 1)
    write(tab, "On Monday.")
    tab.click("#outside")
    site.advance(tab, 1)

    first, second, third = site.events
    assert first["feedback"]["edits"] == [{"value": "On Friday.", "original": "On Monday."}]
    assert second["feedback"]["edits"] == [{"value": "On Sunday.", "original": "On Monday."}]
    assert third == {"op": "clear", "feedback_id": first["feedback_id"]}
    assert second["feedback_id"] == first["feedback_id"]


def test_each_editor_of_an_answer_has_its_original(
    open_tab: OpenTab, site: "BrowserHarness"
) -> None:
    """The event has the edits of all, also after a reload; one that is restored leaves the others."""
    names = ("title", "body")
    content = answer(
        "".join(f"<input name={name} data-afterword-edit value={name}>" for name in names)
    )
    tab = open_tab(content)
    for name in names:
        tab.fill(f"[name={name}]", f"{name} 2")
        tab.click("#outside")
    site.advance(tab, 1)
    tab.reload()
    for name in names:
        tab.fill(f"[name={name}]", f"{name} 3")
        tab.click("#outside")
        site.advance(tab, 1)
    tab.fill("[name=title]", "title")
    tab.click("#outside")
    site.advance(tab, 1)

    title, body = (
        [{"value": f"{name} {number}", "original": name} for number in (2, 3)] for name in names
    )
    assert edits(site) == [[title[0], body[0]], [title[1], body[0]], [title[1], body[1]], [body[1]]]


def test_a_text_that_may_not_be_sent_is_not_kept(open_tab: OpenTab, site: "BrowserHarness") -> None:
    """Without `data-afterword-text` no text is in storage, and an edit is still known as restored."""
    tab = open_tab(answer(EDITOR).replace("data-afterword-text", ""))
    leave(tab)
    site.advance(tab, 1)
    kept = tab.evaluate("() => JSON.stringify(localStorage)")
    assert "edited" in kept
    assert "Monday" not in kept
    assert "Friday" not in kept
    write(tab, "On Monday.")
    tab.click("#outside")
    site.advance(tab, 1)

    first, second = site.events
    assert first["feedback"] == {"edited": True}
    assert second == {"op": "clear", "feedback_id": first["feedback_id"]}


def test_kept_originals_are_bounded(
    open_tab: OpenTab, site: "BrowserHarness", warnings: list[str]
) -> None:
    """The newest 100,000 characters are kept, and votes do not have to go for them."""
    editors = "".join(
        f'<div data-afterword data-afterword-text data-trace-id="tr-{number}">{EDITOR}</div>'
        for number in range(6)
    )
    tab = open_tab(editors + "<button id=outside></button>")
    tab.evaluate("() => afterword.rate('tr-0', 1)")
    for number in range(6):
        tab.locator("textarea").nth(number).fill("x" * 30_000)
        tab.click("#outside")
        site.advance(tab, 2)
    originals = "() => Object.values(localStorage).filter((text) => JSON.parse(text).texts).length"

    assert tab.evaluate(originals) == 3
    assert tab.evaluate("() => afterword.dropped") == 0
    assert tab.evaluate("() => Object.values(localStorage).length") == 3 + 6 + 1
    assert len(edits_or_votes(site)) == 7
    assert warnings == []


def edits_or_votes(site: "BrowserHarness") -> set[str]:
    """Return the ids of what was published."""
    return {event["feedback_id"] for event in site.events}
