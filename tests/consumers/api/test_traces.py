"""`/api/traces`: one line a trace, and everything on one."""

import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

if TYPE_CHECKING:
    from tests.consumers.api_harness import ApiHarness

pytestmark = pytest.mark.services

Row = Callable[..., dict[str, Any]]

NIL = "00000000-0000-0000-0000-000000000000"


def test_a_trace_is_told_in_short(api: "ApiHarness", row: Row) -> None:
    """Counts, sessions, times, the weighted average, the pairs, and whether there is a ground truth."""
    api.store(
        row(1, trace_id="tr-1", session_id="s-2", value=5, weight=1.0),
        row(2, trace_id="tr-1", session_id="s-1", value=5, weight=1.0),
        row(3, trace_id="tr-1", session_id="s-1", value=-10, weight=0.5),
        row(4, trace_id="tr-1", feedback={"ground_truth": {"answer": "42"}}),
        row(5, trace_id="tr-2", value=3, weight=0.0),
        row(6, session_id="s-3", value=1),
    )

    found = api.get("/api/traces", "acme")

    assert found == {
        "traces": [
            {
                "project": "acme",
                "trace_id": "tr-2",
                "feedback": 1,
                "sessions": 0,
                "session_ids": [],
                "first_created_at": "2026-01-31T09:30:05.000Z",
                "last_created_at": "2026-01-31T09:30:05.000Z",
                "weighted_avg": None,
                "pairs": [{"value": 3, "weight": 0, "count": 1}],
                "ground_truth": False,
            },
            {
                "project": "acme",
                "trace_id": "tr-1",
                "feedback": 4,
                "sessions": 2,
                "session_ids": ["s-1", "s-2"],
                "first_created_at": "2026-01-31T09:30:01.000Z",
                "last_created_at": "2026-01-31T09:30:04.000Z",
                "weighted_avg": 2.0,
                "pairs": [
                    {"value": 5, "weight": 1, "count": 2},
                    {"value": -10, "weight": 0.5, "count": 1},
                ],
                "ground_truth": True,
            },
        ],
        "next": None,
    }


def test_filters_and_period_choose_the_feedback(api: "ApiHarness", row: Row) -> None:
    """What does not pass is not counted, and a trace without any that passes is not listed."""
    api.store(
        row(1, trace_id="tr-1", value=1, environment="production"),
        row(2, trace_id="tr-1", value=9, environment="staging"),
        row(3, trace_id="tr-2", value=9, environment="staging"),
        row(86_400, trace_id="tr-3", value=2, environment="production"),
    )

    found = api.get(
        "/api/traces",
        "acme",
        where=["metadata._environment = production", "value <= 5"],
        since="2026-01-31",
        until="2026-02-01",
    )

    assert [(one["trace_id"], one["feedback"], one["weighted_avg"]) for one in found["traces"]] == [
        ("tr-1", 1, 1.0)
    ]


def test_pages_lose_and_repeat_nothing(api: "ApiHarness", row: Row) -> None:
    """Also where traces are equally new, and while a newer one comes in."""
    made = api.get("/api/traces", "acme")["traces"]
    assert made == []
    seconds = (1, 5, 5, 5, 2, 7)
    api.store(
        *(
            row(
                s,
                feedback_id=f"5f0e2f0a-0000-4000-8000-00000000000{n}",
                trace_id=f"tr-{n}",
                value=1,
            )
            for n, s in enumerate(seconds)
        )
    )

    seen: list[Any] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = api.get("/api/traces", "acme", limit="2", **cursor)
        assert len(page["traces"]) == 2
        seen += [one["trace_id"] for one in page["traces"]]
        cursor = {"cursor": page["next"]} if page["next"] else None
        api.store(row(100 + len(seen), trace_id=f"new-{len(seen)}", value=1))

    assert seen == ["tr-5", "tr-3", "tr-2", "tr-1", "tr-4", "tr-0"]


def test_a_trace_with_newer_feedback_moves_to_the_front(api: "ApiHarness", row: Row) -> None:
    """So it stands on a new first page, and on no later one."""
    api.store(*(row(n, trace_id=f"tr-{n}", value=1) for n in range(3)))
    first = api.get("/api/traces", "acme", limit="1")
    api.store(row(9, trace_id="tr-0", value=1))
    later = api.get("/api/traces", "acme", cursor=first["next"])
    assert [one["trace_id"] for one in later["traces"]] == ["tr-1"]
    anew = api.get("/api/traces", "acme", limit="1")
    assert [one["trace_id"] for one in anew["traces"]] == ["tr-0"]


def test_a_trace_is_shown_whole(api: "ApiHarness", row: Row) -> None:
    """Its feedback with every column and leaf in its type, the newest first, ground truth apart."""
    api.store(
        row(1, trace_id="tr-1", value=-3, weight=0.5, user_id="u", updated_at=1769852000.125),
        row(
            2,
            trace_id="tr-1",
            span_id="sp",
            feedback={"score": 4, "good": True, "note": "ü\x00", "ground_truth": "42", "x": 0.1},
            metadata={"a": {"b": [1, "two"]}},
        ),
    )

    found = api.get("/api/traces/tr-1", "acme")

    newest, oldest = found["feedback"]
    assert newest == {
        "feedback_id": "019c12e9-8b3d-7000-8000-000000000002",
        "project": "acme",
        "trace_id": "tr-1",
        "session_id": None,
        "span_id": "sp",
        "source": "explicit",
        "user_id": None,
        "organisation": None,
        "prompt": None,
        "environment": None,
        "value": None,
        "weight": 1,
        "created_at": "2026-01-31T09:30:02.000Z",
        "updated_at": "2026-01-31T09:30:02.000Z",
        "ingested_at": "2026-01-31T09:30:02.000Z",
        "leaves": {
            "feedback.good": True,
            "feedback.ground_truth": "42",
            "feedback.note": "ü\x00",
            "feedback.score": 4,
            "feedback.x": 0.1,
            "metadata.a.b.0": 1,
            "metadata.a.b.1": "two",
        },
        "ground_truth": {"feedback.ground_truth": "42"},
    }
    assert (oldest["value"], oldest["weight"], oldest["user_id"]) == (-3, 0.5, "u")
    assert oldest["updated_at"] == "2026-01-31T09:33:20.125Z"
    assert (oldest["leaves"], oldest["ground_truth"]) == ({}, None)
    assert (found["trace_id"], found["next"]) == ("tr-1", None)


def test_only_the_latest_state_is_shown(api: "ApiHarness", row: Row) -> None:
    """What was changed shows as changed, and what was taken back does not show."""
    api.store(row(1, trace_id="tr-1", value=1), row(2, trace_id="tr-1", value=2))
    api.store(
        row(1, trace_id="tr-1", value=7, version=2),
        row(2, trace_id="tr-1", value=2, is_deleted=1, version=2),
    )

    assert [one["value"] for one in api.get("/api/traces/tr-1", "acme")["feedback"]] == [7]
    assert api.get("/api/traces", "acme")["traces"][0]["feedback"] == 1


def test_feedback_of_a_trace_comes_in_pages(api: "ApiHarness", row: Row) -> None:
    """Each once, also where several were created in the same millisecond."""
    api.store(
        *(
            row(n, trace_id="tr-1", value=n, created_at=datetime(2026, 1, 31, tzinfo=UTC))
            for n in range(5)
        )
    )

    seen: list[Any] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = api.get("/api/traces/tr-1", "acme", limit="2", **cursor)
        assert len(page["feedback"]) <= 2
        seen += [one["value"] for one in page["feedback"]]
        cursor = {"cursor": page["next"]} if page["next"] else None

    assert seen == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    "trace_id",
    ["a/b", "a b?c#d", "50%", "ü", "'; DROP TABLE feedback; --", "a\nb", "\n", "a\r\n/b\n", "\0"],
)
def test_any_trace_id_can_be_asked_for(api: "ApiHarness", row: Row, trace_id: str) -> None:
    """Percent-encoded, whatever letters it has."""
    api.store(row(1, trace_id=trace_id, value=1))
    assert api.get(f"/api/traces/{quote(trace_id, safe='')}", "acme")["trace_id"] == trace_id


def test_an_unknown_trace_is_404(api: "ApiHarness") -> None:
    """It says so, of which project, and that it may yet come."""
    error = api.refusal("/api/traces/tr-9", 404)
    assert error["code"] == "unknown_trace"
    assert error["detail"] == "No feedback of project acme is on this trace."
    assert "on its way" in error["hint"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "W10",
        "WzEsMl0",
        "WyJhIiwiYiIsImMiXQ",
        "ü",
        "W" * 5000,
        "Wy0xLCJhIiwiYiJd",
        "WzEsIlx1ZDgwMCIsImIiXQ",
        *(
            urlsafe_b64encode(json.dumps([1, f"{form[0]}{NIL}{form[1]}"]).encode()).decode()
            for form in (("urn:uuid:", ""), ("{", "}"), ("", "{"))
        ),
    ],
)
@pytest.mark.parametrize("path", ["/api/traces", "/api/traces/tr-1", "/api/rejected"])
def test_a_cursor_of_nobodys_is_refused(api: "ApiHarness", path: str, cursor: str) -> None:
    """Whatever stands in it, and nothing of it reaches ClickHouse."""
    assert api.refusal(path, 400, cursor=cursor)["code"] == "invalid_cursor"


GIVEN = st.lists(
    st.tuples(
        st.sampled_from(["acme", "other"]),
        st.sampled_from(["tr-1", "tr-2"]),
        st.integers(-10, 10) | st.none(),
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    ),
    max_size=12,
)


def test_numbers_are_those_of_a_plain_count(api: "ApiHarness", row: Row) -> None:
    """Count, weighted average and pairs of each trace are what a loop in Python finds."""

    @on_services
    @given(GIVEN)
    def check(given: list[tuple[str, str, int | None, float]]) -> None:
        api.clickhouse.command("TRUNCATE TABLE feedback")
        api.store(
            *(
                row(n, project=project, trace_id=trace_id, value=value, weight=weight)
                for n, (project, trace_id, value, weight) in enumerate(given)
            )
        )
        found = api.get("/api/traces", None)["traces"]
        assert {(one["project"], one["trace_id"]): one["feedback"] for one in found} == Counter(
            (project, trace_id) for project, trace_id, _, _ in given
        )
        for one in found:
            rated = [
                (value, weight)
                for project, trace_id, value, weight in given
                if (project, trace_id) == (one["project"], one["trace_id"]) and value is not None
            ]
            weights = sum(weight for _, weight in rated)
            average = sum(value * weight for value, weight in rated) / weights if weights else None
            assert one["weighted_avg"] == pytest.approx(average)
            pairs = {(pair["value"], pair["weight"]): pair["count"] for pair in one["pairs"]}
            assert pairs == Counter(rated)

    check()
