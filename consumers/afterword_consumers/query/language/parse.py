"""Read a question once: `parse` makes a `Plan` of it, or says what is wrong.

    plan = parse(Question("feedback.score", where=("metadata.model = gpt-5",), since="7d"), now)
    plan.filters[0].field.name, plan.since.at

Nothing that works with a plan reads text of the question again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from afterword_consumers.query.language.fields import Field, Type, resolve
from afterword_consumers.query.language.filters import (
    Comparison,
    Filter,
    compare_with_before,
    parse_comparison,
    parse_filter,
)
from afterword_consumers.query.language.periods import (
    FIRST,
    Clock,
    Moment,
    parse_moment,
    parse_zone,
)
from afterword_consumers.query.language.question import (
    BEFORE,
    COUNT,
    MAX_FILTERS,
    MAX_GROUPS,
    MAX_TOP,
    WEIGHTED,
    Bucket,
    Question,
    QuestionError,
)
from afterword_schemas.patterns import is_project


class Total(StrEnum):
    """A measure that is no field: it is made of the feedback itself."""

    COUNT = COUNT
    WEIGHTED = WEIGHTED


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, as read.

    Attributes:
        question: As it was written, for titles.
        measure: What is measured.
        project: The tenant; None for all.
        groups: By what rows are told apart.
        filters: They must all hold.
        since: The earliest `created_at`, of the period before where that is compared; None where open.
        until: The end of `created_at`, itself excluded; None where open.
        bucket: Which stretch of `created_at` makes a row of its own.
        zone: Where the buckets begin.
        top: How many groups and values are shown.
        approximate: Whether percentiles may come from a sketch.
        comparison: The two groups that are set against each other.
    """

    question: Question
    measure: Field | Total
    project: str | None
    groups: tuple[Field, ...]
    filters: tuple[Filter, ...]
    since: Moment | None
    until: Moment | None
    bucket: Bucket | None
    zone: tzinfo
    top: int
    approximate: bool
    comparison: Comparison | None

    @property
    def fields(self) -> tuple[Field, ...]:
        """Everything that is named."""
        return tuple(self._fields())

    def _fields(self) -> Iterator[Field]:
        if isinstance(self.measure, Field):
            yield self.measure
        yield from self.groups
        yield from (each.field for each in self.filters)
        if self.comparison is not None:
            yield self.comparison.first.field


def parse(question: Question, now: datetime) -> Plan:
    """Read a question.

    Args:
        question: As it was written.
        now: An aware time that durations such as `7d` count from.

    Raises:
        QuestionError: Something in it cannot be asked.
    """
    measure = _measure(question.measure)
    check_project(question.project)
    groups = _groups(question.group_by)
    bucket = _bucket(question.bucket)
    if not 1 <= question.top <= MAX_TOP:
        raise QuestionError(f"top is {question.top}.", f"Write a number from 1 to {MAX_TOP}.")
    if len(question.where) > MAX_FILTERS:
        raise QuestionError(
            f"{len(question.where)} filters; a question has up to {MAX_FILTERS}.",
            "Write in (…) for several values of one path.",
        )
    if question.compare is not None and measure is Total.COUNT:
        raise QuestionError("A count has no rate or mean to compare.", "Group by the path instead.")
    clock = Clock(now, parse_zone(question.timezone))
    since, until = _period(question, clock)
    comparison = _comparison(question, since, clock)
    if question.compare == BEFORE and since is not None:
        since = _start_before(since, until, clock)
    return Plan(
        question=question,
        measure=measure,
        project=question.project,
        groups=groups,
        filters=tuple(parse_filter(text, clock) for text in question.where),
        since=since,
        until=until,
        bucket=bucket,
        zone=clock.zone,
        top=question.top,
        approximate=question.approximate,
        comparison=comparison,
    )


def check_project(project: str | None) -> None:
    """Raise `QuestionError` for what is no project; None is all of them."""
    if project is not None and not is_project(project):
        raise QuestionError(
            "A project is 1 to 64 letters, digits and . _ -.", "Leave it out to ask over all."
        )


def _measure(name: str) -> Field | Total:
    if name in set(Total):
        return Total(name)
    field = resolve(name)
    if field.types == (Type.TIME,):
        raise QuestionError(
            f"{name} is a time, which has no statistics.",
            "Ask for count, with a bucket for its course over time.",
        )
    return field


def _groups(names: tuple[str, ...]) -> tuple[Field, ...]:
    if len(names) > MAX_GROUPS:
        raise QuestionError(
            f"{len(names)} groups; a question has up to {MAX_GROUPS}.", "Make the others filters."
        )
    fields = tuple(resolve(name) for name in names)
    for field in fields:
        if field.is_wildcard:
            raise QuestionError(
                f"The group {field.name!r} has a wildcard, which only a measure may have.",
                "Name one position, such as feedback.edits.0.value.",
            )
        if field.types == (Type.TIME,):
            raise QuestionError(f"{field.name} is a time.", "Ask for a bucket: minute to month.")
    if len({field.column or field.name for field in fields}) < len(fields):
        raise QuestionError("Both groups are the same.", "Name one of them.")
    return fields


def _bucket(name: str | None) -> Bucket | None:
    if name is None:
        return None
    if name not in set(Bucket):
        raise QuestionError(f"There is no bucket {name!r}.", f"Write {', '.join(Bucket)}.")
    return Bucket(name)


def _period(question: Question, clock: Clock) -> tuple[Moment | None, Moment | None]:
    since, until = (
        None if text is None else parse_moment(text, clock)
        for text in (question.since, question.until)
    )
    if since is not None and until is not None and since.at >= until.at:
        raise QuestionError(
            f"since ({_written(since)}) is not before until ({_written(until)}).",
            "Exchange them, or leave one out.",
        )
    return since, until


def _comparison(question: Question, since: Moment | None, clock: Clock) -> Comparison | None:
    if question.compare is None:
        return None
    if question.compare != BEFORE:
        return parse_comparison(question.compare, clock)
    if since is None:
        raise QuestionError("What was before needs a beginning.", "Write since, such as since 7d.")
    if question.bucket is not None:
        raise QuestionError(
            "A bucket lies in one of the two periods.", "Leave out the bucket, or the comparison."
        )
    return compare_with_before(since)


def _start_before(since: Moment, until: Moment | None, clock: Clock) -> Moment:
    """Return where the period before begins, which is as long."""
    length = (clock.now if until is None else until.at) - since.at
    if length <= timedelta():
        raise QuestionError("The period has not begun.", "Write an earlier since.")
    return Moment(max(since.at - length, FIRST), None, since.zone)


def _written(moment: Moment) -> str:
    return moment.at.replace(tzinfo=None).isoformat(" ", "milliseconds")
