"""What people write more often than before is found among many different comments."""

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from afterword_consumers.explore.phrases import Phrase, find_grown_phrases
from afterword_consumers.query import Question, parse

if TYPE_CHECKING:
    from tests.consumers.dashboard.conftest import PageHarness

WORDS = [
    "the",
    "answer",
    "was",
    "long",
    "short",
    "clear",
    "wrong",
    "late",
    "price",
    "total",
    "invoice",
    "date",
    "model",
    "tone",
    "good",
    "bad",
    "very",
    "quite",
    "again",
    "today",
]


def comments(pages: "PageHarness", planted: str = "", **fields: Any) -> list[dict[str, Any]]:
    """Return 600 comments of random words in 28 days; a third of the last fortnight's has the planted text."""
    dice = random.Random(5)
    rows = []
    for number in range(600):
        days_ago = 27.9 * (1 - number / 600)
        text = " ".join(dice.choices(WORDS, k=dice.randrange(2, 9)))
        if planted and days_ago < 14 and number % 3 == 0:
            text = f"{text}, {planted}!"
        rows.append(pages.give(number, days_ago, feedback={"comment": text}, **fields))
    return rows


def grown(pages: "PageHarness", **fields: Any) -> list[Phrase]:
    """Return what grew in the last fortnight."""
    plan = parse(Question("count", since="28d", **fields), pages.now)
    return find_grown_phrases(pages.clickhouse, plan, pages.now - timedelta(days=14), limit=10)


@pytest.mark.parametrize(
    "planted", ["Wrong Currency", "made up a reference", "währung", "it's 31-B"]
)
def test_a_phrase_that_is_written_more_often_is_found(pages: "PageHarness", planted: str) -> None:
    """Whole, in its only form, with how many comments have it."""
    pages.store(*comments(pages, planted))
    (first, *rest) = grown(pages)
    assert first.text == planted.lower()
    assert (first.now.n, first.before.n) == (301, 299)
    assert first.now.part >= 100
    assert first.contrast.p_value is not None
    assert first.contrast.p_value < 0.001
    assert all(planted.lower() not in phrase.text for phrase in rest)


def test_nothing_grew_where_nothing_did(pages: "PageHarness") -> None:
    """Of a thousand phrases chance makes none grow."""
    pages.store(*comments(pages))
    assert grown(pages) == []


def test_only_what_passes_the_filters_is_read(pages: "PageHarness") -> None:
    """Another project's words are not told."""
    pages.store(*comments(pages, "wrong currency", project="other"))
    assert grown(pages, project="acme") == []
    assert grown(pages, project="other")[0].text == "wrong currency"


def test_odd_comments_do_no_harm(pages: "PageHarness") -> None:
    """One word, none at all, signs alone, and a very long one."""
    for number, text in enumerate(("word", "!!!", "…", "x " * 100_000, "\x00", "'" * 50)):
        pages.store(pages.give(number, 1, feedback={"comment": text}))
    assert grown(pages) == []
