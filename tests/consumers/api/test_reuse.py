"""An answer is given again as long as nothing was stored, and never longer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from tests.consumers.api_harness import START

from afterword_consumers.api.reuse import MAX_ANSWERS, ReusingConnection
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.query import Parameter, Question, Table, answer_question

if TYPE_CHECKING:
    from tests.consumers.api_harness import ApiHarness


class Spy:
    """A connection that remembers the statements about feedback."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self.asked: list[str] = []

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Parameter],
        settings: Mapping[str, int | float | str],
    ) -> Table:
        """See `Connection`."""
        if "feedback_current" in sql:
            self.asked.append(sql)
        return self._clickhouse.query(sql, parameters, settings)


@pytest.fixture
def spy(api: "ApiHarness") -> Spy:
    """What is behind the connection."""
    return Spy(api.clickhouse)


@pytest.fixture
def reusing(spy: Spy) -> ReusingConnection:
    """The connection."""
    return ReusingConnection(spy)


def count(reusing: ReusingConnection, **fields: Any) -> int:
    """Return how much feedback there is."""
    found = answer_question(Question("count", **fields), reusing, START).series
    return int(found[0].rows[0][0] or 0) if found else 0


def test_an_answer_is_given_again(
    api: "ApiHarness", spy: Spy, reusing: ReusingConnection, row: Any
) -> None:
    """Also after a merge, which changes nothing that can be asked."""
    api.store(row(1), row(2))
    api.store(row(2, version=2))
    assert [count(reusing), count(reusing)] == [2, 2]
    api.clickhouse.command("OPTIMIZE TABLE feedback FINAL")
    assert count(reusing) == 2
    assert len(spy.asked) == 1


def test_what_is_stored_changes_the_answer_at_once(
    api: "ApiHarness", reusing: ReusingConnection, row: Any
) -> None:
    """New feedback, a later state, feedback taken back, and rows deleted."""
    api.store(row(1))
    assert count(reusing) == 1
    api.store(row(2))
    assert count(reusing) == 2
    api.store(row(2, is_deleted=1, version=2))
    assert count(reusing) == 1
    api.store(row(3))
    api.clickhouse.command("ALTER TABLE feedback DELETE WHERE true SETTINGS mutations_sync = 1")
    assert count(reusing) == 0


def test_other_parameters_and_budgets_have_answers_of_their_own(
    api: "ApiHarness", spy: Spy, reusing: ReusingConnection, row: Any
) -> None:
    """A project never gets another's answer; the time that a request has left is no difference."""
    api.store(row(1), row(2, project="other"), row(3, project="other"))
    assert [count(reusing, project=name) for name in ("acme", "other", "acme")] == [1, 2, 1]
    assert len(spy.asked) == 2
    sql = "SELECT count() FROM feedback_current"
    for setting in (
        {"max_execution_time": 5},
        {"max_execution_time": 6},
        {"max_rows_to_read": 100},
    ):
        reusing.query(sql, {}, setting)
    assert len(spy.asked) == 4


def test_what_depends_on_the_clock_is_asked_again(
    api: "ApiHarness", spy: Spy, reusing: ReusingConnection, row: Any
) -> None:
    """It changes although nothing is stored."""
    api.store(row(1))
    for _ in range(2):
        reusing.query("SELECT count() FROM feedback_current WHERE created_at < now()", {}, {})
    assert len(spy.asked) == 2


def test_an_empty_table_is_asked_again(spy: Spy, reusing: ReusingConnection) -> None:
    """It has no block to go by, as a distributed one."""
    assert [count(reusing), count(reusing)] == [0, 0]
    assert len(spy.asked) == 2


def test_answers_are_kept_in_bounds(
    api: "ApiHarness", spy: Spy, reusing: ReusingConnection, row: Any
) -> None:
    """The one that nobody asked for longest goes first."""
    api.store(row(1))
    for number in range(MAX_ANSWERS + 1):
        reusing.query(f"SELECT {number} FROM feedback_current", {}, {})
    asked = len(spy.asked)
    reusing.query(f"SELECT {MAX_ANSWERS} FROM feedback_current", {}, {})
    assert len(spy.asked) == asked
    reusing.query("SELECT 0 FROM feedback_current", {}, {})
    assert len(spy.asked) == asked + 1
