"""Texts: each value with its count and share, the largest first, the rest as "other"."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.query import Cell

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]


def test_values_and_the_rest(store: Store, row: Row, ask: Ask) -> None:
    """The top values stand by themselves, those past them are one row that says how many."""
    reasons = ["slow"] * 5 + ["wrong"] * 3 + ["rude", "long"]
    store([row(number, feedback={"reason": reason}) for number, reason in enumerate(reasons)])
    found = ask("feedback.reason", top=2)
    assert [
        (each["value"], each["other_values"], each["n"], each["percent"]) for each in found
    ] == [
        ("slow", 0, 5, 50),
        ("wrong", 0, 3, 30),
        ("other", 2, 2, 20),
    ]
    assert found[0]["percent_low"] == pytest.approx(23.6593, abs=1e-3)
    assert found[0]["percent_high"] == pytest.approx(76.3407, abs=1e-3)


def test_a_value_called_other_stays_itself(store: Store, row: Row, ask: Ask) -> None:
    """What people called "other" is not mixed with what was folded under that name."""
    reasons = ["other"] * 3 + ["slow", "rude"]
    store([row(number, feedback={"reason": reason}) for number, reason in enumerate(reasons)])
    found = ask("feedback.reason", top=1)
    assert [(each["value"], each["other_values"], each["n"]) for each in found] == [
        ("other", 0, 3),
        ("other", 2, 2),
    ]


def test_folded_groups_are_counted_as_groups(store: Store, row: Row, ask: Ask) -> None:
    """The row of the other groups says how many groups, whatever number of values they have."""
    events = [("a", "slow")] * 3 + [("b", "slow"), ("b", "rude"), ("b", "late"), ("c", "rude")]
    store(
        [
            row(number, prompt=prompt, feedback={"reason": reason})
            for number, (prompt, reason) in enumerate(events)
        ]
    )
    found = ask("feedback.reason", group_by=("prompt",), top=1)
    shown = ("group_1", "other_groups", "value", "other_values", "n", "percent")
    assert [tuple(each[name] for name in shown) for each in found] == [
        ("a", 0, "slow", 0, 3, 100),
        ("other", 1, "slow", 0, 1, 25),
        ("other", 2, "other", 2, 3, 75),
    ]


def test_empty_text_is_a_value(store: Store, row: Row, ask: Ask) -> None:
    """An empty comment was given; a missing prompt was not."""
    store([row(1, feedback={"comment": ""}), row(2, prompt="p")])
    assert [(each["value"], each["n"]) for each in ask("feedback.comment")] == [("", 1)]
    assert [(each["value"], each["n"]) for each in ask("prompt")] == [("p", 1)]


@on_services
@given(events=st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcde")), min_size=1))
def test_shares_are_of_the_group(
    store: Store, row: Row, ask: Ask, events: list[tuple[str, str]]
) -> None:
    """In each group the counts are Python's, and the shares make 100 %."""
    store(
        [
            row(number, prompt=prompt, feedback={"reason": reason})
            for number, (prompt, reason) in enumerate(events)
        ]
    )
    ranked = sorted(
        Counter(reason for _, reason in events).items(), key=lambda each: (-each[1], each[0])
    )
    top = [reason for reason, _ in ranked[:3]]
    expected = Counter((prompt, reason if reason in top else "other") for prompt, reason in events)
    group_n = Counter(prompt for prompt, _ in events)

    found = ask("feedback.reason", group_by=("prompt",), top=3)

    assert {(each["group_1"], each["value"]): each["n"] for each in found} == expected
    assert [each["percent"] for each in found] == [
        pytest.approx(100 * int(each["n"] or 0) / group_n[str(each["group_1"])]) for each in found
    ]
