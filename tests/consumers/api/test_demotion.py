"""A path that is demoted while it is asked about."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from afterword_consumers.api import Api, create_api
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.explore.promotion import demote, promote
from afterword_consumers.query import Question, Table, answer_question, read_promoted
from afterword_schemas import RetryableError

if TYPE_CHECKING:
    from tests.consumers.api_harness import ApiHarness

pytestmark = pytest.mark.services

Row = Callable[..., dict[str, Any]]

PATH = "feedback.score"


class DemotingConnection:
    """A connection on which a path is demoted just before a statement reads its column."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self.failures: list[int | None] = []

    def query(self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
        """See `Connection`."""
        if "promoted_" in sql and read_promoted(self._clickhouse, {}):
            demote(self._clickhouse, PATH)
        try:
            return self._clickhouse.query(sql, parameters, settings)
        except RetryableError as error:
            self.failures.append(error.store_code)
            raise


@pytest.fixture
def demoting(api: "ApiHarness", row: Row) -> DemotingConnection:
    """One with scores 1 and 3, in a promoted column."""
    api.store(*(row(score, feedback={"score": score}) for score in (1, 3)))
    assert promote(api.clickhouse, PATH)
    return DemotingConnection(api.clickhouse)


def test_a_question_is_asked_again_of_the_maps(demoting: DemotingConnection) -> None:
    """The column is unknown by then, once."""
    found = answer_question(Question(PATH), demoting, datetime.now(UTC))
    assert found.series[0].rows[0][0] == 2
    assert demoting.failures == [47]


def test_the_api_answers_as_if_nothing_had_been(
    demoting: DemotingConnection, api: "ApiHarness"
) -> None:
    """No client hears of it."""
    app = create_api(Api(demoting, admit=lambda _: None, freshness=api.kafka))
    with TestClient(app, base_url="http://127.0.0.1") as http:
        answered = http.get("/api/query", params={"measure": PATH})
    assert answered.status_code == 200, answered.text
    assert answered.json()["series"][0]["rows"][0][0] == 2
    assert demoting.failures == [47]


def test_tables_that_are_old_are_asked_twice_and_no_more(api: "ApiHarness", row: Row) -> None:
    """What they lack does not come by itself, so the error comes through."""
    api.store(row(1, feedback={"score": 1}))
    api.clickhouse.command("CREATE OR REPLACE VIEW feedback_current AS SELECT 1 AS one")
    connection = DemotingConnection(api.clickhouse)
    with pytest.raises(RetryableError):
        answer_question(Question(PATH), connection, datetime.now(UTC))
    assert connection.failures == [47, 47]
    assert api.refusal("/api/query", 503, measure=PATH)["code"] == "tables_missing"
