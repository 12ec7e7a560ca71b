"""What each recipe about users, sessions, time and operation must find, in plain Python."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from tests.consumers.query.cookbook_feedback import Rejection
from tests.consumers.query.cookbook_records import Rows, by, column, leaf, time, vote, voted
from tests.consumers.query.reference_records import Event, Record, type_of

from afterword_schemas.flatten import flatten

_TURN: Final = datetime(2026, 3, 27, tzinfo=UTC)
_BERLIN: Final = ZoneInfo("Europe/Berlin")


def _again_by_model(records: Sequence[Record]) -> Rows:
    sessions = by(
        (each for each in records if column(each, "session_id")),
        lambda each: (leaf(each, "metadata.model", str), column(each, "session_id")),
    )
    again = defaultdict(list)
    for (model, _), mine in sessions.items():
        again[model].append(sum(leaf(each, "feedback.regenerated", bool) is True for each in mine))
    return [
        [model, len(times), 100 * sum(map(bool, times)) / len(times), np.mean(times)]
        for model, times in sorted(again.items(), key=_none_last)
    ]


def _bad_endings(records: Sequence[Record]) -> Rows:
    in_sessions = [each for each in voted(records) if column(each, "session_id")]
    sessions = [
        mine
        for mine in by(in_sessions, lambda each: column(each, "session_id")).values()
        if mine[1:]
    ]
    bad = sum(vote(max(mine, key=time)) is False for mine in sessions)
    return [[len(sessions), bad, 100 * bad / len(sessions)]]


def _turned_negative(records: Sequence[Record]) -> Rows:
    valued = [
        each
        for each in records
        if column(each, "user_id") and column(each, "source") == "explicit"
        if column(each, "value") is not None
    ]
    rows = []
    for user, mine in by(valued, lambda each: column(each, "user_id")).items():
        before, since = (
            [column(each, "value") for each in mine if (time(each) >= _TURN) is late]
            for late in (False, True)
        )
        if len(before) >= 3 and len(since) >= 3 and np.mean(before) > 0 > np.mean(since):
            rows.append([user, np.mean(before), np.mean(since)])
    return sorted(rows, key=lambda row: (row[2] - row[1], row[0]))


def _retention(records: Sequence[Record]) -> Rows:
    weeks = defaultdict(set)
    for each in records:
        if user := column(each, "user_id"):
            weeks[user].add(_monday(time(each)))
    users = Counter(
        (min(mine), (week - min(mine)).days // 7) for mine in weeks.values() for week in mine
    )
    return [
        [cohort.isoformat(), later, n, 100 * n / users[cohort, 0]]
        for (cohort, later), n in sorted(users.items())
    ]


def _week_over_week(records: Sequence[Record]) -> Rows:
    weeks = {
        week: (
            len(mine),
            100 * np.mean([vote(each) for each in voted(mine)]),
        )
        for week, mine in by(records, lambda each: _monday(time(each))).items()
    }
    rows: Rows = []
    for week, (n, percent) in sorted(weeks.items()):
        before = weeks.get(week - timedelta(days=7))
        change = [None, None] if before is None else [n - before[0], percent - before[1]]
        rows.append([week.isoformat(), n, percent, *change])
    return rows


def _rolling(records: Sequence[Record]) -> Rows:
    days = defaultdict(list)
    for each in records:
        value = column(each, "value")
        if value is not None and column(each, "source") == "explicit":
            days[time(each).astimezone(_BERLIN).date()].append(value)
    return [
        [day.isoformat(), len(days[day]), np.mean([
            value for back in range(7) for value in days.get(day - timedelta(days=back), ())
        ])]
        for day in sorted(days)
    ]  # fmt: skip


def _delays(records: Sequence[Record]) -> Rows:
    path = "metadata.answered_at"
    answered = [each for each in records if leaf(each, path, str) is not None]
    rows = []
    for source, mine in sorted(by(answered, lambda each: column(each, "source")).items()):
        seconds = [
            (time(each) - datetime.fromisoformat(leaf(each, path, str))).total_seconds()
            for each in mine
        ]
        rows.append([source, len(mine), list(np.percentile(seconds, [50, 90]))])
    return rows


def _said_and_done(records: Sequence[Record]) -> Rows:
    rows = []
    for environment, mine in sorted(by(records, lambda each: column(each, "environment")).items()):
        said = sum(column(each, "source") == "explicit" for each in mine)
        rows.append([environment, said, len(mine) - said, (len(mine) - said) / said])
    return rows


def _organisations(records: Sequence[Record]) -> Rows:
    sizes = Counter(column(each, "organisation") for each in records)
    del sizes[""]
    ranked = sorted(sizes.items(), key=lambda each: (-each[1], each[0]))
    rest = [n for _, n in ranked[3:]]
    rows = [[name, 1, n] for name, n in ranked[:3]] + [["other", len(rest), sum(rest)]]
    return [[*row, 100 * row[2] / sizes.total()] for row in rows]


def _who_sends_text(records: Sequence[Record]) -> Rows:
    rows = []
    for service, mine in by(records, lambda each: leaf(each, "metadata.service", str)).items():
        texts = [each for one in mine if (each := leaf(one, "feedback.score", str)) is not None]
        numbers = sum(leaf(each, "feedback.score") is not None for each in mine)
        if texts:
            rows.append([service, numbers, len(texts), min(texts)])
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def _late(records: Sequence[Record]) -> Rows:
    rows = []
    for day, mine in sorted(by(records, lambda each: time(each).date()).items()):
        delays = [_delay_s(each) for each in mine]
        late = sum(delay > 3600 for delay in delays)
        rows.append([day.isoformat(), len(mine), np.percentile(delays, 99), late])
    return rows


def _delay_s(record: Record) -> float:
    ingested_at = record.columns["ingested_at"]
    assert isinstance(ingested_at, datetime)
    return (ingested_at - time(record)).total_seconds()


def _projects(records: Sequence[Record]) -> Rows:
    return [
        [
            project,
            len(mine),
            *(
                len({column(each, name) for each in mine} - {""})
                for name in ("trace_id", "user_id")
            ),
            _written(max(map(time, mine))),
        ]
        for project, mine in sorted(by(records, lambda each: column(each, "project")).items())
    ]


def several_types(events: Iterable[Event]) -> Rows:
    """Return the paths that were sent as values of more than one type."""
    seen = defaultdict(list)
    for event in events:
        leaves = flatten(event.roots())
        for path, value in (leaves.numbers | leaves.booleans | leaves.strings).items():
            kind = type_of(value).value.replace("text", "string")
            seen[event.project, path].append((kind, event.ingested_at))
    return [
        [project, path, sorted({kind for kind, _ in mine}), _written(min(at for _, at in mine)), _written(max(at for _, at in mine))]
        for (project, path), mine in sorted(seen.items())
        if len({kind for kind, _ in mine}) > 1
    ]  # fmt: skip


def refusals_by_hour(rejections: Sequence[Rejection]) -> Rows:
    """Return hour, code, number, and how many were not replayed."""
    replayed = {each.number for each in rejections if each.replayed}
    groups = defaultdict(set)
    for each in rejections:
        groups[each.rejected_at.replace(minute=0, second=0, microsecond=0), each.code].add(
            each.number
        )
    ranked = sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]), group[0][1]))
    return [
        [hour.strftime("%Y-%m-%d %H:%M:%S"), code, len(mine), len(mine - replayed)]
        for (hour, code), mine in ranked
    ]


def wrong_fields(rejections: Sequence[Rejection]) -> Rows:
    """Return project, code, path, number, and when the latest was refused."""
    groups = defaultdict(list)
    for each in {each.number: each for each in rejections}.values():
        project = next((name for name in ("acme", "globex") if name in each.payload), "")
        groups[project, each.code, each.path].append(each.rejected_at)
    ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))[:10]
    return [[*key, len(times), _written(max(times))] for key, times in ranked]


def _monday(moment: datetime) -> date:
    return moment.date() - timedelta(days=moment.weekday())


def _none_last(each: tuple[Any, ...]) -> tuple[bool, str]:
    return each[0] is None, str(each[0])


def _written(moment: datetime) -> str:
    return moment.isoformat(" ", "milliseconds").removesuffix("+00:00")


HABITS: Final[Mapping[str, Callable[[Sequence[Record]], Rows]]] = {
    "In how many sessions was an answer asked for again?": _again_by_model,
    "How many sessions end badly?": _bad_endings,
    "Which users turned negative?": _turned_negative,
    "Who comes back to give feedback again?": _retention,
    "How does this week compare with the week before?": _week_over_week,
    "What is the rolling average of seven days, in my time zone?": _rolling,
    "How long after the answer does feedback come?": _delays,
    "How much is said, and how much only done?": _said_and_done,
    "Which organisations does the feedback come from?": _organisations,
    "Who sends the score as text?": _who_sends_text,
}
"""By the title of the recipe: what it finds in the records of its project."""

OPERATION: Final[Mapping[str, Callable[[Sequence[Record]], Rows]]] = {
    "How much feedback arrives late?": _late,
    "How much feedback does each project have?": _projects,
}
"""Likewise, of all projects."""
