"""How it goes, in one reading: votes, weighted values, regenerations and volume, by time, group and prompt.

    summary = read_summary(database, plan, middle=since)
    summary.by_time[("2026-11-30", "aurora-2", "explicit")].ups
    summary.by_prompt[("now", "aurora-2", "summarise-v1")]

All of these are sums, so whatever is shown of several groups together is their sum, exactly. One statement costs
about as much as one question does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, Self

from afterword_consumers.query import Budget, Cell, Database, Plan, read_storage
from afterword_consumers.query.compile.conditions import conditions
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.selection import bucket_sql
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.compile.statements import bucket_name_sql
from afterword_consumers.query.database import whole
from afterword_consumers.query.language.fields import THUMBS, Type, resolve
from afterword_consumers.query.statistics.intervals import Share, WeightedSums

BEFORE: Final = "before"
NOW: Final = "now"
REGENERATED: Final = "feedback.regenerated"


@dataclass(frozen=True, slots=True)
class Sums:
    """What feedback amounts to.

    Attributes:
        n: How much feedback.
        votes: Thumbs.
        ups: Of them up.
        regenerated: Feedback that is that somebody asked for another answer.
        counted: Values of a weight above 0; the others are those of `WeightedSums`.
    """

    n: int = 0
    votes: int = 0
    ups: int = 0
    regenerated: int = 0
    counted: int = 0
    w: float = 0.0
    wx: float = 0.0
    ww: float = 0.0
    wwx: float = 0.0
    wwxx: float = 0.0

    @classmethod
    def of(cls, parts: Iterable["Sums"]) -> Self:
        """Return the sums of several taken together."""
        listed = list(parts)
        return cls(*(sum(getattr(part, each.name) for part in listed) for each in fields(cls)))

    @property
    def thumbs(self) -> Share:
        """What part of the votes is up."""
        return Share(self.ups, self.votes)

    @property
    def regenerations(self) -> Share:
        """What part of all feedback asks for another answer."""
        return Share(self.regenerated, self.n)

    @property
    def weighted(self) -> WeightedSums:
        """What a weighted mean and its error are made of."""
        return WeightedSums(self.counted, self.w, self.wx, self.ww, self.wwx, self.wwxx)


@dataclass(frozen=True, slots=True)
class Summary:
    """What was read.

    Attributes:
        by_time: By the beginning of a bucket as answers write it, group and source.
        by_prompt: By `BEFORE` or `NOW`, group and prompt. A group or prompt that is missing is None.
    """

    by_time: Mapping[tuple[str, str | None, str], Sums]
    by_prompt: Mapping[tuple[str, str | None, str | None], Sums]

    def groups(self) -> list[str | None]:
        """Return the groups, the one with the most votes first."""
        votes: dict[str | None, int] = {}
        for (_, group, _), sums in self.by_time.items():
            votes[group] = votes.get(group, 0) + sums.votes
        return sorted(votes, key=lambda group: (-votes[group], str(group)))


def read_summary(
    database: Database, plan: Plan, middle: datetime, budget: Budget | None = None
) -> Summary:
    """Read it.

    Args:
        database: Where the feedback is.
        plan: Its project, period, filters and bucket, and at most one group.
        middle: Where `BEFORE` ends and `NOW` begins.
        budget: What each statement may cost.
    """
    budget = budget or Budget()
    parameters = Parameters()
    source = Source(parameters, read_storage(plan, database, budget.settings()))
    group = source.text(plan.groups[0]) if plan.groups else "NULL"
    thumbs = source.value(resolve(THUMBS), Type.BOOLEAN)
    regenerated = source.value(resolve(REGENERATED), Type.BOOLEAN)
    selected = [
        f"{bucket_sql(plan, source)} AS bucket_start",
        f"created_at >= {parameters.moment(middle)} AS is_now",
        f"{group} AS key",
        "nullIf(prompt, '') AS prompt_key",
        "source",
        f"{thumbs} AS vote",
        f"ifNull({regenerated}, false) AS again",
        "toFloat64(value) AS x",
        "weight AS weighs",
    ]
    where = " AND ".join(conditions(plan, source)) or "true"
    columns = ",\n    ".join(selected)
    sql = f"""\
SELECT grouping(prompt_key) AS by_time, {bucket_name_sql(plan)}, is_now, key, prompt_key, source, {_SUMS}
FROM (
SELECT
    {columns}
FROM {source.table()}
WHERE {where}
)
GROUP BY GROUPING SETS ((bucket_start, key, source), (is_now, key, prompt_key))"""
    rows = database.query(sql, parameters.values, budget.settings()).rows
    by_time: dict[tuple[str, str | None, str], Sums] = {}
    by_prompt: dict[tuple[str, str | None, str | None], Sums] = {}
    for is_by_time, bucket, is_now, key, prompt, source_name, *numbers in rows:
        if is_by_time:
            by_time[str(bucket), _text(key), str(source_name)] = _sums(numbers)
        else:
            by_prompt[NOW if is_now else BEFORE, _text(key), _text(prompt)] = _sums(numbers)
    return Summary(by_time, by_prompt)


_SUMS: Final = """
    count(), count(vote), countIf(vote), countIf(again),
    countIf(weighs > 0 AND x IS NOT NULL),
    sumIf(weighs, x IS NOT NULL), sum(weighs * x), sumIf(pow(weighs, 2), x IS NOT NULL),
    sum(pow(weighs, 2) * x), sum(pow(weighs * x, 2))"""


def _sums(numbers: list[Cell]) -> Sums:
    counts = [whole(number) for number in numbers[:5]]
    return Sums(*counts, *(float(number or 0) for number in numbers[5:]))


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
