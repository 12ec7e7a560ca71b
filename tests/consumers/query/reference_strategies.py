"""Random feedback and random questions about it, for Hypothesis.

    @given(events=histories, questions=st.lists(questions()))

The paths, columns and values of the one are those of the other, so that most questions find something;
times lie around changes of the clocks in the zones that are asked for.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st
from tests.consumers.query.reference_records import Event

from afterword_consumers.query import Question
from afterword_consumers.query.language.fields import resolve
from afterword_consumers.query.language.periods import Clock, parse_moment, parse_zone

NOW: Final = datetime(2026, 11, 15, 12, 30, 15, 250999, tzinfo=UTC)
"""What durations before now count from."""

Leaf = str | float | bool

_IDS: Final = [
    *(
        UUID(int=(0x019BB2F50000 + month * 0xA0000000 << 80) | (0x7 << 76) | (0x2 << 62) | number)
        for number, month in enumerate([0, 0, 0, 1, 1, 1, 1, 2, 3])
    ),  # version 7, of four months
    UUID("019bb2f5-0000-7000-bfff-ffffffffffff"),
    UUID("019bb2f5-0000-7fff-8000-000000000000"),
    UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"),  # of an odd time
    *(UUID(int=(number << 96) | (0x4 << 76) | (0x2 << 62)) for number in range(8)),  # version 4
    UUID("886313e1-3b8a-5372-9b90-0c9aee199e5d"),  # version 5
]
ZONES: Final = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
]
_TURNS: Final = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin: summer begins
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # and ends
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe, by half an hour
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2025, 12, 31, 18, 15, tzinfo=UTC),  # New Year in Kathmandu
    datetime(2024, 2, 29, 12, tzinfo=UTC),
]
_PATHS: Final = [
    "feedback.score",
    "feedback.liked",
    "feedback.rating",
    "feedback.reason",
    "feedback.mixed",
    "feedback.edits.0.value",
    "feedback.a%2Eb",
    "feedback.50%25",
    "feedback.how was it?",
    "feedback.nested.deep.1.0",
    "feedback.absent",
    "metadata.model",
    "metadata.plan",
    "metrics.accuracy",
]
_WILDCARDS: Final = [
    "feedback.edits.*.value",
    "feedback.edits.*",
    "feedback.edits.*.tags.*",
    "feedback.nested.deep.*.0",
    "feedback.nested.deep.*.*",
    "feedback.*",
    "feedback.a%2Eb.*",
]
_TEXT_COLUMNS: Final = [
    "project",
    "trace_id",
    "session_id",
    "span_id",
    "source",
    "user_id",
    "metadata._user",
    "organisation",
    "metadata._prompt",
    "environment",
]
_NUMBER_COLUMNS: Final = ["value", "weight"]
_TIME_COLUMNS: Final = ["created_at", "updated_at", "ingested_at"]

_texts = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "B c",
        "1",
        "true",
        "other",
        "",
        "it's",
        'a "b"',
        "x\\y",
        "tab\there",
        "Äö",
        "äÖ",
    ]
)
_numbers = (
    st.integers(-3, 5)
    | st.sampled_from([0.1, 0.30000000000000004, -0.5, 1e21, 1e-7, 2**53 + 1, 123456.789])
    | st.floats(-1e6, 1e6)
)
_leaves = st.booleans() | _numbers | _texts
_moments = st.builds(
    lambda turn, minutes, ms: turn + timedelta(minutes=minutes, milliseconds=ms),
    st.sampled_from(_TURNS),
    st.integers(-200, 200) | st.integers(-50_000, 50_000),
    st.sampled_from([0, 1, 999, 59_999]),
)
_edits = st.lists(
    _leaves
    | st.fixed_dictionaries({}, optional={"value": _leaves, "tags": st.lists(_leaves, max_size=3)}),
    max_size=3,
)
_feedback = st.fixed_dictionaries(
    {},
    optional={
        "score": _numbers,
        "liked": st.booleans(),
        "rating": st.booleans() | st.booleans() | _leaves,
        "reason": _texts,
        "mixed": _leaves | st.none(),
        "edits": _edits | st.dictionaries(st.sampled_from(["0", "7", "x"]), _leaves),
        "a.b": _leaves | st.lists(_leaves, max_size=2),
        "50%": _leaves,
        "how was it?": _leaves,
        "nested": st.fixed_dictionaries({"deep": st.lists(st.lists(_leaves, max_size=2))}),
        "3": _leaves,
    },
)
_metadata = st.fixed_dictionaries(
    {},
    optional={
        "model": _texts,
        "plan": _leaves,
        "_user": _texts | st.integers(-1, 9),
        "_organisation": _texts,
        "_prompt": _texts | st.integers(1, 3) | st.none(),
        "_environment": st.sampled_from(["prod", "test"]),
    },
)
_events = st.builds(
    Event,
    feedback_id=st.sampled_from(_IDS),
    version=st.integers(0, 3),
    cleared=st.integers(0, 9).map(lambda chance: chance == 0),
    project=st.sampled_from(["acme", "acme", "globex"]),
    trace_id=_texts,
    session_id=st.sampled_from(["", "s1"]),
    source=st.sampled_from(["explicit", "implicit"]),
    value=st.none() | st.integers(-10, 10),
    weight=st.sampled_from([0.0, 0.1, 0.25, 1e-7, 1.0]) | st.floats(0, 1, allow_subnormal=False),
    created_at=_moments,
    updated_at=_moments,
    ingested_at=_moments,
    feedback=_feedback,
    metadata=_metadata,
    metrics=st.fixed_dictionaries({}, optional={"accuracy": st.floats(0, 1)}),
)
_times = st.one_of(
    st.sampled_from(["30m", "24h", "20d", "52w", "2026-03-29", "2026-10-25T02:30", "2026-04-05"]),
    _moments.map(datetime.isoformat),
)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _write(value: Leaf) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _quote(value) if isinstance(value, str) else repr(value)


@st.composite
def filters(draw: st.DrawFn) -> str:
    """One filter, on a column or path, with an operator and values that it may be compared with."""
    name = draw(
        st.sampled_from(
            [*_PATHS, *_TEXT_COLUMNS, *_NUMBER_COLUMNS, *_TIME_COLUMNS, "feedback_id", "thumbs"]
        )
    )
    order = ["<", "<=", ">", ">="]
    equal = ["=", "!=", "in", "not in", "exists", "missing"]
    if name == "feedback_id":
        operators, values = equal, st.sampled_from([str(each) for each in _IDS])
    elif name == "thumbs":
        operators, values = equal, st.sampled_from(["up", "down", "'up'"])
    elif name in _TIME_COLUMNS:
        operators, values = [*equal, *order], _times
    elif name in _NUMBER_COLUMNS:
        operators, values = [*equal, *order], _numbers.map(repr) | st.sampled_from(["4.0", "-10"])
    elif name in _TEXT_COLUMNS:
        operators = [*equal, *order, "contains"]
        values = _texts.filter(bool).map(_write) | st.sampled_from(["7", "TRUE", "acme"])
    else:
        operators, values = [*equal, *order, "contains"], _leaves.map(_write)
    operator = draw(st.sampled_from(operators))
    if operator in order and name in _PATHS:
        values = (_numbers | _texts).map(_write)
    if operator == "contains":
        values = values.filter(lambda text: text != "''")
    if operator in {"exists", "missing"}:
        return f"{_quote(name)} {operator}"
    if operator in {"in", "not in"}:
        return f"{_quote(name)} {operator} ({', '.join(draw(st.lists(values, min_size=1, max_size=4)))})"
    return f"{_quote(name)} {operator} {draw(values)}"


def _seldom(usual: object, other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 4).flatmap(lambda chance: st.just(usual) if chance else other)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """A question that can be asked."""
    groups = [*_PATHS, *_TEXT_COLUMNS, *_NUMBER_COLUMNS, "feedback_id", "thumbs"]
    measures = [*groups, *_WILDCARDS, *["weighted", "count", "thumbs"] * 2]
    since, until = draw(_seldom(None, _times)), draw(_seldom(None, _times))
    zone = draw(st.sampled_from(ZONES))
    clock = Clock(NOW, parse_zone(zone))
    if since and until and parse_moment(since, clock).at >= parse_moment(until, clock).at:
        since = None
    return Question(
        draw(st.sampled_from(measures)),
        project=draw(st.sampled_from([None, None, "acme", "acme", "globex"])),
        group_by=tuple(
            draw(st.lists(st.sampled_from(groups), max_size=2, unique_by=_column_or_path))
        ),
        where=tuple(draw(_seldom([], st.lists(filters(), min_size=1, max_size=2)))),
        since=since,
        until=until,
        bucket=draw(st.sampled_from([None, "minute", "hour", "day", "week", "month"])),
        timezone=zone,
        top=draw(st.sampled_from([1, 2, 3, 20])),
    )


def _column_or_path(name: str) -> str:
    """Return what tells groups apart: `prompt` and `metadata._prompt` are one."""
    return resolve(name).column or name


histories = st.lists(
    _events,
    min_size=8,
    max_size=40,
    unique_by=lambda event: (event.project, event.feedback_id, event.version),
)
