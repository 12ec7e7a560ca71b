"""Groups: by paths of any type and by columns, one or two, the largest first."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.consumers.query.conftest import NOW

from afterword_consumers.query import Cell, Question, QuestionError, parse

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]


def test_missing_is_a_group(store: Store, row: Row, ask: Ask) -> None:
    """Feedback without the path is a group of its own, None, and counts towards the top."""
    store([row(1, metadata={"model": "m1"}), row(2), row(3)])
    assert ask("count", group_by=("metadata.model",)) == [
        {"group_1": None, "other_groups": 0, "n": 2},
        {"group_1": "m1", "other_groups": 0, "n": 1},
    ]


def test_groups_of_every_type(store: Store, row: Row, ask: Ask) -> None:
    """A path that is text, number and boolean in turn groups by each value's text."""
    for_each = ["pro", 4, 4.5, True]
    store([row(number, metadata={"plan": plan}) for number, plan in enumerate(for_each)])
    found = ask("count", group_by=("metadata.plan",))
    assert [each["group_1"] for each in found] == ["4", "4.5", "pro", "true"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "p1"),
        ("metadata._prompt", "p1"),
        ("metadata._user", "u1"),
        ("metadata._organisation", "o1"),
        ("metadata._environment", "e1"),
        ("source", "explicit"),
        ("project", "acme"),
        ("trace_id", "t1"),
        ("value", "-3"),
        ("weight", "0.5"),
        ("feedback_id", "019c12e9-8b3d-7000-8000-000000000001"),
    ],
)
def test_columns_group(store: Store, row: Row, ask: Ask, name: str, value: str) -> None:
    """Columns group like paths, and the reserved metadata is found in its columns."""
    columns = {"prompt": "p1", "user_id": "u1", "organisation": "o1", "environment": "e1"}
    store([row(1, trace_id="t1", value=-3, weight=0.5, **columns)])
    assert ask("count", group_by=(name,)) == [{"group_1": value, "other_groups": 0, "n": 1}]


def test_two_groups_are_ranked_as_pairs(store: Store, row: Row, ask: Ask) -> None:
    """Of two groups the top pairs are shown, and the other pairs are one row."""
    pairs = [("a", "x")] * 3 + [("a", "y")] * 2 + [("b", "x"), ("b", "y")]
    store(
        [
            row(number, prompt=prompt, metadata={"model": model}, value=number)
            for number, (prompt, model) in enumerate(pairs)
        ]
    )
    found = ask("value", group_by=("prompt", "metadata.model"), top=2)
    shown = ("group_1", "group_2", "other_groups", "n", "sum")
    assert [tuple(each[name] for name in shown) for each in found] == [
        ("a", "x", 0, 3, 3),
        ("a", "y", 0, 2, 7),
        ("other", "other", 2, 2, 11),
    ]


def test_groups_keep_their_rank_in_every_bucket(store: Store, row: Row, ask: Ask) -> None:
    """The top is of the whole period, so that a series does not change its groups from day to day."""
    days = {"a": [1, 1, 1], "b": [1, 2], "c": [2]}
    store(
        [
            row(
                10 * ord(prompt) + index,
                prompt=prompt,
                created_at=datetime(2026, 1, day, tzinfo=UTC),
            )
            for prompt, all_days in days.items()
            for index, day in enumerate(all_days)
        ]
    )
    found = ask("count", group_by=("prompt",), bucket="day", top=1)
    assert [(each["bucket"], each["group_1"], each["n"]) for each in found] == [
        ("2026-01-01", "a", 3),
        ("2026-01-01", "other", 1),
        ("2026-01-02", "other", 2),
    ]


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        (("prompt", "source", "project"), "3 groups; a question has up to 2"),
        (("prompt", "prompt"), "Both groups are the same"),
        (("created_at",), "Ask for a bucket"),
        (("feedback.tags.*",), "has a wildcard"),
        (("model",), "Write feedback.model, metadata.model or metrics.model"),
        (("metadata",), "Write a path below it"),
        (("metadata..x",), "has an empty step"),
    ],
)
def test_impossible_groups_say_what_to_write(group_by: tuple[str, ...], message: str) -> None:
    """What cannot be grouped by is refused with what to write instead."""
    with pytest.raises(QuestionError, match=message):
        parse(Question("value", group_by=group_by), NOW)
