"""The numbers of the overview, which come from one reading, are those of the questions."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from afterword_consumers.explore.summary import BEFORE, NOW, Sums, read_summary
from afterword_consumers.query import Question, answer_question, parse
from afterword_consumers.query.statistics.intervals import share_interval, weighted_interval

if TYPE_CHECKING:
    from tests.consumers.dashboard.conftest import PageHarness


def answered(full: "PageHarness", measure: str, **fields: Any) -> dict[str, Any]:
    """Return the only row of an answer by column name."""
    (series, *_) = answer_question(Question(measure, **fields), full.clickhouse, full.now).series
    (row,) = series.rows
    return dict(zip([column.name for column in series.columns], row, strict=True))


def test_one_reading_tells_what_the_questions_do(full: "PageHarness") -> None:
    """Votes, weighted averages and counts, of all together and of each prompt and model, in both periods."""
    middle = full.now - timedelta(days=14)
    since = {BEFORE: full.now - timedelta(days=28), NOW: middle}
    until = {BEFORE: middle, NOW: full.now}
    plan = parse(
        Question(
            "thumbs", group_by=("metadata.model",), since=since[BEFORE].isoformat(), bucket="day"
        ),
        full.now,
    )
    summary = read_summary(full.clickhouse, plan, middle)
    for side in (BEFORE, NOW):
        period = {"since": since[side].isoformat(), "until": until[side].isoformat()}
        sums = Sums.of(part for (of, _, _), part in summary.by_prompt.items() if of == side)
        thumbs = answered(full, "thumbs", **period)
        assert sums.votes == thumbs["n"]
        assert share_interval(sums.thumbs) == pytest.approx(
            (thumbs["up_percent_low"], thumbs["up_percent_high"])
        )
        weighted = answered(full, "weighted", **period)
        assert weighted_interval(sums.weighted) == pytest.approx(
            (weighted["weighted_avg_low"], weighted["weighted_avg_high"])
        )
        assert sums.n == answered(full, "count", **period)["n"]
        where = ("feedback.regenerated = true",)
        assert sums.regenerated == answered(full, "count", where=where, **period)["n"]
        for (of, model, prompt), part in summary.by_prompt.items():
            if of == side:
                pair = (f"metadata.model = {model}", f"prompt = {prompt}")
                assert part.votes == answered(full, "thumbs", where=pair, **period)["n"]


def test_times_and_prompts_add_up_to_the_same(full: "PageHarness") -> None:
    """Each feedback is once in both."""
    plan = parse(Question("thumbs", bucket="hour", since="90d"), full.now)
    summary = read_summary(full.clickhouse, plan, full.now)
    by_time, by_prompt = Sums.of(summary.by_time.values()), Sums.of(summary.by_prompt.values())
    assert (by_time.n, by_time.votes, by_time.ups, by_time.counted) == (
        by_prompt.n,
        by_prompt.votes,
        by_prompt.ups,
        by_prompt.counted,
    )
    assert by_time.n == 1200
    assert {group for _, group, _ in summary.by_time} == {None}
