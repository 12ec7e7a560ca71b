"""How far intervals in the views are off the exact ones, as statistics.md says it; SciPy knows those."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from scipy import stats

from afterword_consumers.query import Database

_PAGE: Final = (Path(__file__).parents[3] / "consumers" / "docs" / "statistics.md").read_text(
    encoding="utf-8"
)
_COUNTS: Final = (*range(2, 40), 150)


@pytest.fixture
def samples(store: Callable[..., None], row: Callable[..., dict[str, Any]]) -> None:
    """For each count, as many votes of 0 and 1 in turn, under a prompt that is the count."""
    rows = [(count, number) for count in _COUNTS for number in range(count)]
    store(
        [
            row(at, prompt=f"{count}", value=number % 2, feedback={"score": number % 2})
            for at, (count, number) in enumerate(rows)
        ]
    )


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("view", ["number_stats", "weighted_feedback"])
def test_intervals_of_the_views_are_as_close_as_the_page_says(
    analytics: Database, view: str
) -> None:
    """Half their width over the standard error is a quantile of Student's t."""
    mean, only = ("avg", "path = 'value', ") if view == "number_stats" else ("weighted_avg", "")
    found = analytics.query(
        f"SELECT group, ({mean}_high - {mean}_low) / 2 FROM {view}(project = '', {only}"
        "group_by = 'prompt', since = '2026-01-01', until = '2027-01-01')",
        {},
        {},
    )
    half = {int(str(count)): float(str(width)) for count, width in found.rows}
    assert half.keys() == {*_COUNTS}
    for counts, share in _rows():
        off = [abs(half[n] / _exact(n) - 1) for n in _COUNTS if n in counts]
        assert off
        assert max(off) < share


def _exact(n: int) -> float:
    ups = n // 2
    deviation = math.sqrt(ups * (1 - ups / n) / (n - 1))
    return float(stats.t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)


def _rows() -> list[tuple[range, float]]:
    """Return the page's table: counts of values, and by what part the ends may be off."""
    rows = [
        ("2 to 5 values", range(2, 6), 0.0001),
        ("6 values", range(6, 7), 0.02),
        ("7 to 9 values", range(7, 10), 0.005),
        ("10 and more values", range(10, 10_000), 0.001),
    ]
    for text, _, percent in rows:
        assert f"| averages, of {text} | {percent} % |" in _PAGE
    return [(counts, percent / 100) for _, counts, percent in rows]
