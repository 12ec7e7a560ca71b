"""The promise of the intervals: 95 of 100 hold the truth, over samples drawn where it is known."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from afterword_consumers.query import Cell, Database, Question, SeriesType, answer_question

_NOW = datetime(2026, 2, 10, tzinfo=UTC)
_SAMPLES = 4000

# Hashes in place of random numbers: the same samples in every run. `chance` is uniform in (0, 1).
_DRAW = """
INSERT INTO feedback (project, feedback_id, created_at, updated_at, prompt, value, weight, numbers, booleans)
SELECT
    'acme',
    toUUID(concat(leftPad(lower(hex(number)), 8, '0'), '-0000-4000-8000-000000000000')),
    '2026-01-31', '2026-01-31',
    toString(sample),
    -- Votes of weight 0.2 to 1, uniform from -10 to 10: the true mean is 0.
    toInt8(floor(chance_1 * 21)) - 10,
    0.2 + 0.8 * chance_2,
    -- By Box and Muller, around 5.
    map('feedback.score', 5 + 3 * sqrt(-2 * log(chance_1)) * cos(2 * pi() * chance_2)),
    map('feedback.liked', chance_1 < share)
FROM (
    SELECT
        number,
        number % {samples} AS sample,
        (sample % 19 + 1) / 20 AS share,
        (cityHash64(number, 1) / 2 + 1) / pow(2, 63) AS chance_1,
        (cityHash64(number, 2) / 2 + 1) / pow(2, 63) AS chance_2
    FROM numbers({samples} * {size})
)
"""


@pytest.mark.parametrize("size", [5, 12, 40])
def test_a_mean_lies_in_its_interval(
    run: Callable[[str], None], analytics: Database, size: int
) -> None:
    """Of 4,000 samples of a normal distribution, few or many each, 94 to 96.5 % hold its mean."""
    rows = _ask(run, analytics, "feedback.score", SeriesType.NUMBER, size)
    held = sum(_holds(row["avg_low"], 5, row["avg_high"]) for row in rows)
    assert 0.94 <= held / _SAMPLES <= 0.965


@pytest.mark.parametrize("size", [12, 40])
def test_a_share_lies_in_its_interval(
    run: Callable[[str], None], analytics: Database, size: int
) -> None:
    """Over shares from 5 to 95 %, as often for that of true values."""
    rows = _ask(run, analytics, "feedback.liked", SeriesType.BOOLEAN, size)
    held = sum(
        _holds(
            row["true_percent_low"],
            5 * (int(str(row["group_1"])) % 19 + 1),
            row["true_percent_high"],
        )
        for row in rows
    )
    assert 0.94 <= held / _SAMPLES <= 0.965


def test_a_weighted_mean_lies_in_its_interval(
    run: Callable[[str], None], analytics: Database
) -> None:
    """And for the average of votes by weight, of 80 each."""
    rows = _ask(run, analytics, "weighted", SeriesType.WEIGHTED, 80)
    held = sum(_holds(row["weighted_avg_low"], 0, row["weighted_avg_high"]) for row in rows)
    assert 0.94 <= held / _SAMPLES <= 0.965


def _ask(
    run: Callable[[str], None], analytics: Database, measure: str, kind: SeriesType, size: int
) -> list[dict[str, Cell]]:
    """Return the answer for each of the samples of a size."""
    run(_DRAW.format(samples=_SAMPLES, size=size))
    answer = answer_question(Question(measure, group_by=("prompt",), top=_SAMPLES), analytics, _NOW)
    series = next(each for each in answer.series if each.type == kind)
    assert len(series.rows) == _SAMPLES
    names = [column.name for column in series.columns]
    return [dict(zip(names, row, strict=True)) for row in series.rows]


def _holds(low: Cell, truth: float, high: Cell) -> bool:
    assert isinstance(low, float | int)
    assert isinstance(high, float | int)
    return low <= truth <= high
