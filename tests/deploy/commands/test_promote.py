"""promote and demote: columns come and go, answers stay, on the real engine."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.waiting import wait_until

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.explore.promotion import demote, read_backfill
from afterword_consumers.query import read_promoted

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

pytestmark = pytest.mark.services


@pytest.fixture
def scored(afterword: "Afterword", store_events: Callable[..., None]) -> "Afterword":
    """Run `afterword` on three feedbacks with a score."""
    store_events(
        *(
            json.dumps(
                {
                    "feedback_id": f"5f0e2f0a-0000-4000-8000-{number:012}",
                    "project": "shop",
                    "trace_id": "t",
                    "feedback": {"score": number},
                }
            ).encode()
            for number in range(3)
        )
    )
    return afterword


def test_a_path_gets_a_column_and_loses_it(scored: "Afterword") -> None:
    """The column's name is the result; what stands before and after it is a notice."""
    asked = ("query", "feedback.score", "--format", "csv")
    before = scored(*asked).out
    ran = scored("promote", "feedback.score")
    assert ran.status == 0
    assert ran.out.startswith("promoted_numbers_feedback_score_")
    assert ran.err.splitlines()[0] == "questions about feedback.score use it from now on"
    assert ran.err.splitlines()[-1] == "all stored feedback has it"
    assert scored(*asked).out == before
    assert ran.out.strip() in scored(*asked, "--sql").err
    assert scored("promote").out.splitlines()[1].split() == ["feedback.score", ran.out.strip()]
    demoted = scored("demote", "feedback.score")
    assert demoted.out == ran.out
    assert demoted.err == "dropped; the values of feedback.score are in the feedback still\n"
    assert scored(*asked).out == before
    ran = scored("promote")
    assert (ran.out, ran.err) == (
        "",
        "no path is promoted; `afterword promote PATH` promotes one\n",
    )


def test_a_misspelt_path_is_the_users_to_mend(scored: "Afterword") -> None:
    """With status 2 and the path that may be meant."""
    ran = scored("promote", "feedback.scroe")
    assert (ran.status, ran.out) == (2, "")
    assert "Did you mean feedback.score" in ran.err
    ran = scored("demote", "feedback.score")
    assert ran.status == 2
    assert "feedback.score is not promoted" in ran.err


def test_nobody_waits_for_the_backfill(scored: "Afterword", database_of: ClickHouse) -> None:
    """The column is there at once, however long it takes to be filled, and may be dropped meanwhile."""
    asked = ("query", "feedback.score", "--format", "csv")
    before = scored(*asked).out
    database_of.command("SYSTEM STOP MERGES feedback")  # fills nothing either
    try:
        ran = scored("promote", "feedback.score", "--no-wait")
        assert (ran.status, ran.err) == (0, "questions about feedback.score use it from now on\n")
        assert read_backfill(database_of).parts_to_do == 1
        assert scored(*asked).out == before
        with ThreadPoolExecutor(1) as threads:
            demoted = threads.submit(demote, database_of, "feedback.score")
            wait_until(lambda: not read_promoted(database_of, {}), 20)
            database_of.command("SYSTEM START MERGES feedback")
            assert demoted.result(20) == [ran.out.strip()]
    finally:
        database_of.command("SYSTEM START MERGES feedback")
    assert scored(*asked).out == before
