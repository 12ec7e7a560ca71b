"""Paths: the catalogue as it is kept, and counts that a loop over the events gives too."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.explore.paths import KnownPath, find_paths, suggest_paths
from afterword_consumers.ingest.path_index import PathIndex, PathSeen
from afterword_consumers.query import Budget, Database, QuestionError
from afterword_schemas import RetryableError, flatten
from afterword_schemas.testing import documents

Row = dict[str, Any]
Rows = Callable[..., Row]
Store = Callable[..., None]
AT_MS = 1_767_225_600_000


@pytest.fixture
def catalogued(analytics: Any) -> Callable[[Sequence[PathSeen]], None]:
    """Give what writes paths_seen as the worker does, each in a part of its own."""

    def write(paths_seen: Sequence[PathSeen]) -> None:
        for each in paths_seen:
            line = {
                "project": each.project,
                "path": each.path,
                "type": each.type,
                "first_seen": each.seen_ms / 1000,
                "last_seen": each.seen_ms / 1000,
                "example": each.example,
            }
            analytics.command(f"INSERT INTO feedback_paths FORMAT JSONEachRow {json.dumps(line)}")

    return write


def names(found: Sequence[KnownPath]) -> list[tuple[str, str, str]]:
    """Return project, path and type of each."""
    return [(each.project, each.path, each.type) for each in found]


def test_path_seens_of_a_path_are_one(
    analytics: Database, catalogued: Callable[[Sequence[PathSeen]], None]
) -> None:
    """From the first to the last of them, each type and each project by itself."""
    catalogued(
        [
            PathSeen("acme", "feedback.rating", "boolean", AT_MS + 5, "true"),
            PathSeen("acme", "feedback.rating", "boolean", AT_MS, "true"),
            PathSeen("acme", "feedback.rating", "string", AT_MS + 60_000, "good"),
            PathSeen("bank", "feedback.rating", "boolean", AT_MS, "false"),
        ]
    )
    assert find_paths(analytics, project="acme") == [
        KnownPath(
            "acme",
            "feedback.rating",
            "boolean",
            "2026-01-01T00:00:00.000Z",
            "2026-01-01T00:00:00.005Z",
            "true",
        ),
        KnownPath(
            "acme",
            "feedback.rating",
            "string",
            "2026-01-01T00:01:00.000Z",
            "2026-01-01T00:01:00.000Z",
            "good",
        ),
    ]
    assert names(find_paths(analytics))[2:] == [("bank", "feedback.rating", "boolean")]


def test_a_prefix_is_text_and_a_limit_cuts(
    analytics: Database, catalogued: Callable[[Sequence[PathSeen]], None]
) -> None:
    """Case counts, `%` and quotes stand for themselves, and the first in order are shown."""
    odd = "feedback.50%25 o'clock"
    paths = ["feedback.Score", "feedback.score", odd, "metadata.model"]
    catalogued([PathSeen("acme", path, "number", AT_MS, "1") for path in paths])
    assert [each.path for each in find_paths(analytics, prefix="feedback.s")] == ["feedback.score"]
    assert [each.path for each in find_paths(analytics, prefix="feedback.50%25 o'")] == [odd]
    assert find_paths(analytics, prefix="%") == []
    assert [each.path for each in find_paths(analytics, limit=2)] == [odd, "feedback.Score"]


def test_reserved_metadata_are_strings(
    analytics: Database,
    catalogued: Callable[[Sequence[PathSeen]], None],
    store: Store,
    row: Rows,
) -> None:
    """Also where an integer was sent, and they are counted in the columns that hold them."""
    catalogued(
        [
            PathSeen("acme", "metadata._user", "number", AT_MS, "7"),
            PathSeen("acme", "metadata._user", "string", AT_MS, "u-8"),
            PathSeen("acme", "metadata._prompt", "string", AT_MS, "v1"),
            PathSeen("acme", "value", "number", AT_MS, "3"),
        ]
    )
    store(
        [
            row(1, user_id="7", value=3),
            row(2, user_id="u-8", value=-3),
            row(3, user_id="u-8"),
            row(4),
        ]
    )
    measured = find_paths(analytics, measured=True)
    assert [(each.path, each.type) for each in measured] == [
        ("metadata._prompt", "string"),
        ("metadata._user", "string"),
        ("value", "number"),
    ]
    assert [(each.events, each.share_percent, each.distinct) for each in measured] == [
        (0, 0.0, 0),
        (3, 75.0, 2),
        (2, 50.0, 2),
    ]


def test_a_share_is_of_the_projects_current_feedback(
    analytics: Database,
    catalogued: Callable[[Sequence[PathSeen]], None],
    store: Store,
    row: Rows,
) -> None:
    """Each feedback once, in its latest state; what was taken back and other tenants do not count."""
    catalogued(
        [
            PathSeen("acme", "feedback.score", "number", AT_MS, "1"),
            PathSeen("bank", "feedback.score", "number", AT_MS, "1"),
            PathSeen("gone", "feedback.score", "number", AT_MS, "1"),
        ]
    )
    store(
        [row(1, feedback={"score": 1}), row(2, feedback={"score": 2}), row(3, value=1)],
        [row(1, feedback={"score": 5}, version=2), row(2, is_deleted=1, version=2)],
        [row(4, feedback={"score": 9}, project="bank")],
    )
    found = find_paths(analytics, measured=True)
    assert [(e.project, e.events, e.share_percent, e.distinct) for e in found] == [
        ("acme", 1, 50.0, 1),
        ("bank", 1, 100.0, 1),
        ("gone", 0, None, 0),
    ]
    assert find_paths(analytics, project="acme", measured=True) == found[:1]


@on_services
@given(events=st.lists(st.tuples(st.sampled_from(["acme", "bank"]), documents()), max_size=6))
def test_counts_equal_a_loop_over_the_events(
    analytics: Any,
    catalogued: Callable[[Sequence[PathSeen]], None],
    store: Store,
    row: Rows,
    events: list[tuple[str, Mapping[str, Any]]],
) -> None:
    """Of any documents: events and distinct values of every path and type, whatever is cut off."""
    analytics.command("TRUNCATE TABLE feedback_paths")
    rows = [row(n, project=project, feedback=said) for n, (project, said) in enumerate(events)]
    store(*[rows] * bool(rows))
    seen: dict[tuple[str, str, str], list[object]] = defaultdict(list)
    catalogue = PathIndex()
    for project, said in events:
        leaves = flatten({"feedback": said})
        catalogued(catalogue.observe(project, leaves, AT_MS))
        for kind in ("boolean", "number", "string"):
            for path, leaf in getattr(leaves, f"{kind}s").items():
                seen[project, path, kind].append(float(leaf) if kind == "number" else leaf)
    expected = [(*key, len(leaves), len(set(leaves))) for key, leaves in sorted(seen.items())]
    for limit in (3, 10_000):
        found = find_paths(analytics, measured=True, limit=limit)
        assert [
            (each.project, each.path, each.type, each.events, each.distinct) for each in found
        ] == expected[:limit]


def test_many_distinct_values_are_estimated_as_stated(
    analytics: Any, catalogued: Callable[[Sequence[PathSeen]], None]
) -> None:
    """Exact at 50,000; at 300,000 within three of the standard errors that are stated."""
    catalogued(
        [PathSeen("acme", f"feedback.{n}", "number", AT_MS, "1") for n in ("few", "many", "step")]
    )
    analytics.command(
        "INSERT INTO feedback (project, feedback_id, numbers, created_at, updated_at, kafka_offset) "
        "SELECT 'acme', generateUUIDv4(number), "
        "map('feedback.few', number % 50000, 'feedback.many', number * 1.5), now64(), now64(), number "
        "FROM numbers(300000)"
    )
    few, many, step = find_paths(analytics, measured=True)
    assert (few.events, few.distinct) == (300_000, 50_000)
    assert many.distinct == pytest.approx(300_000, rel=3 * 0.004)
    assert (step.events, step.distinct) == (0, 0)


def test_a_misspelt_prefix_has_near_ones(
    analytics: Database, catalogued: Callable[[Sequence[PathSeen]], None]
) -> None:
    """Whole paths, and the objects above them, of the project that was asked about."""
    catalogued(
        [
            PathSeen("acme", "feedback.step1.retry", "boolean", AT_MS, "true"),
            PathSeen("bank", "feedback.step2.retry", "boolean", AT_MS, "true"),
        ]
    )
    assert suggest_paths(analytics, "feedback.stpe1.", project="acme")[0] == "feedback.step1"
    assert suggest_paths(analytics, "feedback.step1.rety", project="acme")[0] == (
        "feedback.step1.retry"
    )
    assert suggest_paths(analytics, "nothing like it") == []
    assert suggest_paths(analytics, "x" * 100_000) == []
    assert "feedback.step1" not in suggest_paths(analytics, "feedback.step1.", project="bank")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"prefix": "feedback.\udcff"}, "not valid UTF-8"),
        ({"project": "a\udcff"}, "letters, digits"),
    ],
)
def test_what_no_path_begins_with_is_refused(
    analytics: Database, asked: dict[str, Any], says: str
) -> None:
    """As bytes of no UTF-8 that a shell passes on."""
    with pytest.raises(QuestionError, match=says):
        find_paths(analytics, **asked)


def test_what_cannot_be_asked_is_not_suggested(
    analytics: Database, catalogued: Callable[[Sequence[PathSeen]], None]
) -> None:
    """A key that is empty or `*`: the one is no name, and the other would stand for many."""
    paths = (
        "feedback.a.*.note",
        "feedback.a..note",
        "feedback.*",
        "feedback.",
        "feedback.a* .note",
    )
    catalogued([PathSeen("acme", path, "string", AT_MS, "x") for path in paths])
    assert suggest_paths(analytics, "feedback.a.note") == ["feedback.a* .note", "feedback.a* "]
    assert suggest_paths(analytics, "feedback") == []


def test_a_budget_ends_a_count(
    analytics: Database,
    catalogued: Callable[[Sequence[PathSeen]], None],
    store: Store,
    row: Rows,
) -> None:
    """Counting that would read more than it may is broken off; the list alone is not."""
    catalogued([PathSeen("acme", "feedback.score", "number", AT_MS, "1")])
    store([row(n, feedback={"score": n}) for n in range(20)])
    few = Budget(read_rows=10)
    assert len(find_paths(analytics, budget=few)) == 1
    with pytest.raises((RetryableError, RuntimeError), match="TOO_MANY_ROWS"):
        find_paths(analytics, measured=True, budget=few)
