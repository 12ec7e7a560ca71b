"""Booleans: how many, and the share of true with Wilson's interval."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.query import Cell

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]


def test_eight_of_ten(store: Store, row: Row, ask: Ask) -> None:
    """Eight true of ten are 80 %, between the 49.02 % and 94.33 % of Wilson's published example."""
    store([row(number, feedback={"liked": number < 8}) for number in range(10)])
    assert ask("feedback.liked") == [
        {
            "n": 10,
            "true_percent": 80,
            "true_percent_low": pytest.approx(49.0162, abs=1e-3),
            "true_percent_high": pytest.approx(94.3318, abs=1e-3),
            "false_percent": 20,
            "is_small": True,
        }
    ]


@on_services
@given(likes=st.lists(st.booleans(), min_size=1, max_size=300))
def test_interval_solves_wilsons_equation(
    store: Store, row: Row, ask: Ask, likes: list[bool]
) -> None:
    """At each end of the interval, the observed share is 1.96 standard errors away."""
    store([row(number, feedback={"liked": liked}) for number, liked in enumerate(likes)])
    (found,) = ask("feedback.liked")
    n, share = len(likes), sum(likes) / len(likes)
    assert found["true_percent"] == pytest.approx(100 * share)
    assert found["false_percent"] == pytest.approx(100 - 100 * share)
    for end, is_bound in (("low", share == 0), ("high", share == 1)):
        assumed = float(found[f"true_percent_{end}"] or 0) / 100
        distance = 0 if is_bound else 1.959963984540054 * sqrt(assumed * (1 - assumed) / n)
        assert abs(share - assumed) == pytest.approx(distance, abs=1e-9)
