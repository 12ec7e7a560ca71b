"""No answer of any route holds anything of another project."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.consumers.api.conftest import Serve
    from tests.consumers.api_harness import ApiHarness

pytestmark = pytest.mark.services

Row = Callable[..., dict[str, Any]]

SECRET = "zebra"
"""Stands in everything that the other project has."""


@pytest.fixture(scope="module")
def api(serving: "Serve", row: Row) -> Iterator["ApiHarness"]:
    """Two projects with a trace and paths in common, and one that is full of the secret."""
    with serving() as served:
        store(served, row)
        yield served


def store(api: "ApiHarness", row: Row) -> None:
    """Store feedback and refused messages of both."""
    api.store(
        row(
            1,
            trace_id="tr-1",
            session_id="s-1",
            value=1,
            feedback={"score": 1, "comment": "fine"},
            metadata={"model": "m1"},
        ),
        *(
            row(
                number,
                project="other",
                trace_id="tr-1" if number % 2 else f"tr-{SECRET}",
                session_id=f"s-{SECRET}",
                user_id=SECRET,
                prompt=SECRET,
                value=-9,
                feedback={"score": 424242, "comment": SECRET, SECRET: SECRET, "scores": 1},
                metadata={"model": SECRET, "modell": SECRET},
            )
            for number in range(2, 9)
        ),
    )
    own = b'{"project": "acme", "feedback_id": "5f0e2f0a-0000-4000-8000-000000000001", "x": 1}'
    other = b'{"project": "other", "%b": 1}' % SECRET.encode()
    now = time.time()
    api.reject(1, own, rejected_at=now)
    api.reject(2, other, path=f"$.{SECRET}", detail=SECRET, code="wrong_type", rejected_at=now)
    api.reject(3, f"no JSON {SECRET}".encode(), code="invalid_json", rejected_at=now)


ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("/api/query", {"measure": "feedback.score", "group_by": ["metadata.model", "prompt"]}),
    ("/api/query", {"measure": "feedback.comment", "group_by": "project", "sql": "true"}),
    ("/api/query", {"measure": "feedback.comment", "where": "trace_id = tr-1"}),
    ("/api/query", {"measure": "weighted", "group_by": "trace_id"}),
    ("/api/query", {"measure": "count", "bucket": "day", "group_by": "user_id"}),
    ("/api/query", {"measure": "feedback.comment", "group_by": "session_id", "project": "acme"}),
    ("/api/query", {"measure": f"feedback.{SECRET[:4]}"}),
    ("/api/query", {"measure": "feedback.scor"}),
    ("/api/query", {"measure": "feedback.score", "group_by": "metadata.modele"}),
    ("/api/query", {"measure": "feedback.score", "where": "project = other"}),
    ("/api/query", {"measure": "feedback.score", "where": "project != acme"}),
    ("/api/query", {"measure": "feedback.*"}),
    ("/api/paths", {}),
    ("/api/paths", {"measured": "true"}),
    ("/api/paths", {"prefix": f"feedback.{SECRET[0]}"}),
    ("/api/traces", {}),
    ("/api/traces", {"where": "project = other"}),
    ("/api/traces", {"where": "value = -9"}),
    ("/api/traces/tr-1", {}),
    ("/api/status", {}),
    ("/api/rejected", {}),
    ("/api/rejected", {"payload": "true"}),
    ("/api/rejected", {"code": "wrong_type", "payload": "true"}),
    ("/api/rejected", {"code": "invalid_json", "payload": "true"}),
]


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
@pytest.mark.parametrize(("path", "parameters"), ROUTES)
def test_a_route_tells_nothing_of_another_project(
    api: "ApiHarness", path: str, parameters: dict[str, Any], accept: str
) -> None:
    """Neither in the body nor in a header, in an answer, a notice, a suggestion or an error."""
    if accept == "text/csv" and "sql" in parameters:
        parameters = parameters | {"sql": "false"}
    headers = {"x-project": "acme", "accept": accept}
    answer = api.http.get(path, params=parameters, headers=headers)

    assert answer.status_code == 200, answer.text
    told = f"{answer.text} {answer.headers}".replace(str(parameters.get("prefix")), "")
    told = told.replace(f"feedback.{SECRET[:4]}", "")  # what was asked is quoted
    assert SECRET[:4] not in told
    assert "424242" not in answer.text
    assert "scores" not in told
    assert "modell" not in told


@pytest.mark.parametrize(("path", "parameters"), ROUTES)
def test_the_operator_sees_the_other_project(
    api: "ApiHarness", path: str, parameters: dict[str, Any]
) -> None:
    """Without keys every one of these questions does find something of it, or counts it."""
    parameters = {name: text for name, text in parameters.items() if name != "project"}
    own = api.http.get(path, params=parameters, headers={"x-project": "acme"}).json()
    everything = api.http.get(path, params=parameters).json()
    assert everything != own


def test_a_trace_of_another_project_is_unknown(api: "ApiHarness") -> None:
    """As one that nobody has; the answer is the same."""
    theirs = api.refusal("/api/traces/tr-zebra", 404)
    nobodys = api.refusal("/api/traces/tr-nobody", 404)
    assert theirs == nobodys


def test_numbers_are_of_the_own_project(api: "ApiHarness") -> None:
    """Counts of traces, feedback and refusals leave the other's out."""
    (trace,) = api.get("/api/traces", "acme")["traces"]
    assert (trace["feedback"], trace["session_ids"], trace["weighted_avg"]) == (1, ["s-1"], 1)
    assert len(api.get("/api/traces/tr-1", "acme")["feedback"]) == 1
    status = api.get("/api/status", "acme")
    assert (status["stored"], status["rejected_24h"]) == (
        1,
        [{"code": "unknown_field", "count": 1}],
    )
    assert api.get("/api/status", "nothing")["stored"] == 0
    paths = api.get("/api/paths", "acme", measured="true")["paths"]
    assert {one["path"]: one["share_percent"] for one in paths} == {
        "feedback.comment": 100,
        "feedback.score": 100,
        "metadata.model": 100,
    }


@pytest.mark.parametrize(("path", "parameters"), ROUTES)
def test_another_project_cannot_be_named(
    api: "ApiHarness", path: str, parameters: dict[str, Any]
) -> None:
    """The answer says whose the key is."""
    error = api.refusal(path, 403, **parameters | {"project": "other"})
    assert error["code"] == "forbidden"
    assert error["detail"] == "The key is for project acme."


@pytest.mark.parametrize(("path", "parameters"), ROUTES)
def test_the_own_project_may_be_named_once(
    api: "ApiHarness", path: str, parameters: dict[str, Any]
) -> None:
    """The first of two does not hide the second."""
    given = {**parameters, "project": "acme"}
    assert api.http.get(path, params=given, headers={"x-project": "acme"}).status_code == 200
    for names in (["acme", "other"], ["other", "acme"]):
        assert (
            api.refusal(path, 400, **parameters | {"project": names})["code"]
            == "repeated_parameter"
        )


@pytest.mark.parametrize(("path", "parameters"), ROUTES)
def test_who_may_not_ask_learns_nothing(
    api: "ApiHarness", path: str, parameters: dict[str, Any]
) -> None:
    """Before anything else of the request is looked at."""
    answer = api.http.get(
        path, params=parameters | {"nonsense": "1"}, headers={"x-project": "nobody"}
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthorized"


def test_a_cursor_of_another_project_opens_nothing(api: "ApiHarness") -> None:
    """It is a place in the order, and what stands behind it is still the asker's own."""
    everything = api.get("/api/traces", None, limit="1")
    assert everything["next"]
    assert SECRET not in str(api.get("/api/traces", "acme", cursor=everything["next"]))


def test_the_operator_sees_what_is_nobodys(api: "ApiHarness") -> None:
    """A message that names no project is in nobody's list but his."""
    listed = api.get("/api/rejected", None)["rejected"]
    assert [(one["offset"], one["project"]) for one in listed] == [
        (3, None),
        (2, "other"),
        (1, "acme"),
    ]
