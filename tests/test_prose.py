"""The check of the documentation's sentences finds what is hard to read, and nothing else."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "prose.py"
_spec = importlib.util.spec_from_file_location("prose", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
prose = importlib.util.module_from_spec(_spec)
sys.modules["prose"] = prose  # dataclasses look their module up
_spec.loader.exec_module(prose)

LONG = " ".join(["word"] * 31)


def sentences(text: str) -> list[tuple[int, str]]:
    """Return line and text of each sentence."""
    return [(one.line, one.text) for one in prose.sentences(text)]


def test_a_sentence_of_thirty_words_passes() -> None:
    """One more is too long; the fault names line, number and beginning."""
    assert list(prose.check(" ".join(["word"] * 30) + ".")) == []
    [fault] = prose.check(f"# Title\n\n{LONG}.")
    assert fault.startswith("3: 31 words, at most 30; ")
    assert fault.endswith('"word word word word word word word word …"')


def test_sentences_are_found_across_lines() -> None:
    """A paragraph may be wrapped, and a line may hold two."""
    text = "One is\nhere. Two is here.\nThree?\n\nFour"
    assert sentences(text) == [(1, "One is here."), (2, "Two is here."), (3, "Three?"), (5, "Four")]


def test_cells_and_items_are_sentences_of_their_own() -> None:
    """They would add up otherwise."""
    text = f"| {' '.join(['a'] * 20)} | {' '.join(['b'] * 20)} |\n\n- c\n- d\n1. e"
    assert list(prose.check(text)) == []
    assert [one for _, one in sentences(text)][2:] == ["c", "d", "e"]


@pytest.mark.parametrize(
    "text",
    [
        f"```sql\n{LONG}\n```",
        f"    {LONG}",
        f"~~~\n```\n{LONG}\n~~~",
        f"`{LONG}` is code.",
        f"[a link]({LONG.replace(' ', '/')})",
        f"# {LONG}",
        "The file is `likewise.md`.",
    ],
    ids=["fence", "indented", "fence in a fence", "inline", "link", "title", "name"],
)
def test_code_links_and_titles_are_not_read(text: str) -> None:
    """They are no prose."""
    assert list(prose.check(text)) == []


def test_a_second_paragraph_of_an_item_is_read() -> None:
    """It is indented like code, and is none."""
    assert sentences("- One.\n\n    Two.") == [(1, "One."), (3, "Two.")]


def test_a_phrase_that_is_not_used_is_named_with_the_plain_one() -> None:
    """Whatever its case."""
    [fault] = prose.check("It Likewise goes.")
    assert fault == '1: "Likewise": also, in "It Likewise goes."'


def test_the_check_ends_with_status_1_where_there_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints a line for each."""
    page = tmp_path / "page.md"
    page.write_text(f"{LONG}.\n")
    assert prose.main([str(page)]) == 1
    assert capsys.readouterr().out.startswith(f"{page}:1: 31 words")
    page.write_text("Short.\n")
    assert prose.main([str(page)]) == 0
