"""Preference pairs: three texts that feedback holds, or a reason why there is no pair."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.export import (
    PairCounts,
    PairPaths,
    Skipped,
    count_candidates,
    export_pairs,
    parse_selection,
)
from afterword_consumers.query import QuestionError

pytestmark = pytest.mark.services

Say = Callable[..., None]
ID = "5f0e2f0a-0000-4000-8000-00000000000"


@pytest.fixture
def pair(stored: ClickHouse, now: datetime) -> Callable[..., tuple[list[dict[str, Any]], str]]:
    """`pair(where=…)`: the pairs of a selection, and what is said of them."""

    def make(paths: PairPaths | None = None, **selected: Any) -> tuple[list[dict[str, Any]], str]:
        selection, counts = parse_selection(now, **selected), PairCounts()
        pieces = list(export_pairs(selection, paths or PairPaths(), stored, counts))
        lines = b"".join(piece.data for piece in pieces).splitlines()
        assert len(lines) == counts.pairs
        assert sum(piece.rows for piece in pieces) == count_candidates(selection, stored)
        return [json.loads(line) for line in lines], str(counts)

    return make


Pair = Callable[..., tuple[list[dict[str, Any]], str]]


def test_an_edit_is_preferred_to_its_original(say: Say, pair: Pair) -> None:
    """As `edited()` and the snippet send it; each line says where its texts are from."""
    say(
        {
            "feedback": {"edited": True, "edits": [{"value": "Oslo", "original": "Bergen"}]},
            "metadata": {"input": "Capital of Norway?"},
        }
    )
    assert pair() == (
        [
            {
                "prompt": "Capital of Norway?",
                "chosen": "Oslo",
                "rejected": "Bergen",
                "chosen_from": "edit",
                "project": "acme",
                "trace_id": "t",
                "feedback_ids": {"chosen": f"{ID}1", "rejected": f"{ID}1", "prompt": f"{ID}1"},
            }
        ],
        "1 pair of 1 edit or ground truth",
    )


def test_prompt_and_answer_may_stand_elsewhere_in_the_trace(say: Say, pair: Pair) -> None:
    """Of the same project, and outside of the filters too; the feedback's own texts come first."""
    asked = {"input": "Capital of Norway?"}
    say(
        {"feedback": {"ground_truth": "Oslo"}},
        {"value": 1, "metadata": asked},
        {"value": 1, "metadata": {**asked, "output": "Bergen"}},
        {"value": 1, "metadata": {"input": "not ours", "output": "no"}, "project": "bank"},
        {"feedback": {"ground_truth": "Oslo"}, "metadata": {**asked, "output": "Bergen"}},
    )
    found, said = pair(where=("feedback.ground_truth exists",))
    assert [each["feedback_ids"] for each in found] == [
        {"chosen": f"{ID}1", "rejected": f"{ID}3", "prompt": f"{ID}2"},
        {"chosen": f"{ID}5", "rejected": f"{ID}5", "prompt": f"{ID}5"},
    ]
    assert {(each["prompt"], each["chosen"], each["rejected"]) for each in found} == {
        ("Capital of Norway?", "Oslo", "Bergen")
    }
    assert said == "2 pairs of 2 edits and ground truths"
    assert pair(where=("feedback.ground_truth exists",), project="acme") == (found, said)


ASKED = {"input": "Capital?"}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([{"feedback": {"edits": [{"value": "Oslo", "original": "Rome"}]}}], Skipped.NO_PROMPT),
        ([{"feedback": {"ground_truth": "Oslo"}, "metadata": ASKED}], Skipped.NO_REJECTED),
        ([{"feedback": {"edits": [{"original": "Rome"}]}, "metadata": ASKED}], Skipped.NO_CHOSEN),
        ([{"feedback": {"ground_truth": " \n"}, "metadata": ASKED}], Skipped.NO_CHOSEN),
        (
            [{"feedback": {"edits": [{"value": "Oslo", "original": "Oslo"}]}, "metadata": ASKED}],
            Skipped.SAME,
        ),
        (
            [
                {
                    "feedback": {"edits": [{"value": "Oslo", "original": "Oslo \n"}]},
                    "metadata": ASKED,
                }
            ],
            Skipped.SAME,
        ),
        (
            [
                {"feedback": {"edits": [{"value": "Oslo", "original": "Rome"}]}},
                {"value": 1, "metadata": {"input": "one"}},
                {"value": 1, "metadata": {"input": "two"}},
            ],
            Skipped.AMBIGUOUS_PROMPT,
        ),
        (
            [
                {"feedback": {"ground_truth": "Oslo"}, "metadata": ASKED},
                {"value": 1, "metadata": {"output": "Rome"}},
                {"value": 1, "metadata": {"output": "Bergen"}},
            ],
            Skipped.AMBIGUOUS_REJECTED,
        ),
        (
            [
                {"feedback": {"ground_truth": "Oslo"}, "metadata": ASKED, "trace_id": "t1"},
                {"value": 1, "metadata": {"output": "Rome"}, "trace_id": "t2"},
            ],
            Skipped.NO_REJECTED,
        ),
        (
            [
                {"feedback": {"ground_truth": "Oslo"}, "session_id": "s", "trace_id": None},
                {"value": 1, "metadata": ASKED, "session_id": "s", "trace_id": None},
                {"value": 1, "metadata": {"output": "Rome"}, "span_id": "x", "trace_id": None},
            ],
            Skipped.NO_REJECTED,
        ),
        (
            [{"feedback": {"ground_truth": "Oslo"}, "metadata": {**ASKED, "output": "\t"}}],
            Skipped.NO_REJECTED,
        ),
        (
            [
                {"feedback": {"ground_truth": "Oslo"}, "metadata": {"output": "Rome"}},
                {"value": 1, "metadata": {"input": "\u00a0\u2003\x0b\x1c"}},
            ],
            Skipped.NO_PROMPT,
        ),
    ],
)
def test_feedback_that_makes_no_pair_is_counted(
    say: Say, pair: Pair, events: list[dict[str, Any]], reason: Skipped
) -> None:
    """Missing, blank, the same, or one of several; without a trace there is no other to look at."""
    say(*events)
    assert pair() == ([], f"0 pairs of 1 edit or ground truth; 1 {reason}")


def test_several_edits_need_their_originals(say: Say, pair: Pair) -> None:
    """Alone, an edit without one replaces the answer; among others it may be a part of it."""
    context = {"input": "Capital?", "output": "Rome"}
    say(
        {"feedback": {"edits": [{"value": "Oslo"}]}, "metadata": context},
        {
            "feedback": {
                "edits": [
                    {"value": "Bergen"},
                    {"value": "Bodø", "original": "Bergen"},
                    {"seconds": 3},
                ],
                "ground_truth": "Oslo",
            },
            "metadata": context,
        },
    )
    found, said = pair()
    assert [(each["chosen_from"], each["chosen"], each["rejected"]) for each in found] == [
        ("edit", "Oslo", "Rome"),
        ("ground_truth", "Oslo", "Rome"),
        ("edit", "Bodø", "Bergen"),
    ]
    assert (
        said
        == "3 pairs of 4 edits and ground truths; 1 stood among several edits without an original"
    )


@pytest.mark.parametrize(
    ("value", "original", "expected"),
    [
        ("42", 41, ("42", "41")),
        (42, "41", ("42", "41")),
        (True, False, ("true", "false")),
        (0.1, 1e300, ("0.1", "1e300")),
    ],
)
def test_numbers_and_booleans_of_an_edit_count_as_their_text(
    say: Say, pair: Pair, value: object, original: object, expected: tuple[str, str]
) -> None:
    """The answer of the whole is not taken in place of an original that is a number."""
    edits = {"edits": [{"value": value, "original": original}]}
    say({"feedback": edits, "metadata": {**ASKED, "output": "The whole answer"}})
    found, said = pair()
    assert [(each["chosen"], each["rejected"]) for each in found] == [expected]
    assert said == "1 pair of 1 edit or ground truth"


def test_an_edit_to_a_number_is_one_of_several(say: Say, pair: Pair) -> None:
    """Two edits without originals are two parts, whatever their types."""
    edits = {"edits": [{"value": "part"}, {"value": 7}]}
    say({"feedback": edits, "metadata": {**ASKED, "output": "The whole answer"}})
    assert pair() == (
        [],
        "0 pairs of 2 edits and ground truths; 2 stood among several edits without an original",
    )


def test_edits_past_the_tenth_are_in_order(say: Say, pair: Pair) -> None:
    """By position as a number, so that the same feedback makes the same file."""
    edits = [{"value": f"v{n}", "original": "o"} for n in range(12)]
    say({"feedback": {"edits": edits}, "metadata": ASKED})
    assert [each["chosen"] for each in pair()[0]] == [f"v{n}" for n in range(12)]


def test_numbers_and_booleans_are_texts_too(say: Say, pair: Pair) -> None:
    """A ground truth of 42 is what the model should have written."""
    say({"feedback": {"ground_truth": 42}, "metadata": {"input": "6 · 7?", "output": "41"}})
    assert [(each["chosen"], each["rejected"]) for each in pair()[0]] == [("42", "41")]


def test_paths_may_be_others(say: Say, pair: Pair) -> None:
    """Any path or column, as where an edit says what the model had answered."""
    say(
        {"feedback": {"ground_truth": "Oslo"}, "metadata": {"question": "Capital?"}},
        {"feedback": {"edits": [{"value": "Bodø", "original": "Rome"}]}},
    )
    paths = PairPaths(prompt="metadata.question", answer="feedback.edits.0.original")
    found, said = pair(paths)
    assert [(each["chosen"], each["rejected"]) for each in found] == [
        ("Oslo", "Rome"),
        ("Bodø", "Rome"),
    ]
    assert said == "2 pairs of 2 edits and ground truths"
    for wrong in ("question", "feedback.edits.*.original"):
        with pytest.raises(QuestionError):
            PairPaths(prompt=wrong)


def test_an_edit_that_was_taken_back_makes_no_pair(say: Say, pair: Pair) -> None:
    """And is not counted either: it is not there any more."""
    said = {"feedback": {"edits": [{"value": "Oslo", "original": "Rome"}]}, "metadata": ASKED}
    say(said, said)
    say({"op": "clear", "updated_at": "2026-02-01T00:00:00Z"})
    assert pair()[1] == "1 pair of 1 edit or ground truth"
