"""What ten usual questions cost: with and without FINAL, promoted, and with bucketed maps.

    python deploy/benchmarks/questions.py --rows 10000000 --data-dir /var/tmp/questions

Starts a ClickHouse of its own on this machine, makes 30 days of feedback in it, and asks each question
several times, through the builder and the client that the command line uses; no answer comes from a cache
of ours or of ClickHouse's. Prints the median in ms as a table. A folder that holds the rows already is used
as it is.

`FINAL` is what every question does: each feedback counts once, in its latest state. Without it the
answers are wrong where feedback was changed; it is here for comparison. Bucketed maps are another form of the
same data on disk, so they take a folder of their own: --buckets.
"""

# ruff: noqa: INP001, T201  # a script that prints its result, in no package

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from question_rows import DAYS, FIRST_DAY, fill

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.explore.promotion import demote, promote, read_backfill
from afterword_consumers.query import (
    Budget,
    Question,
    compile_plan,
    parse,
    read_promoted,
    read_storage,
)
from afterword_schemas.migrate import migrate
from afterword_stack.local.clickhouse import ClickHouseNode

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = ("2026-10-15", "2026-10-16")
PROMOTED = ("feedback.score", "feedback.rating", "feedback.reason", "metadata.model")
BUDGET = Budget(time_s=600, memory_bytes=14 * 2**30)
BUCKETS = """
    map_serialization_version = 'with_buckets',
    map_serialization_version_for_zero_level_parts = 'basic',
    map_buckets_strategy = 'linear',
    map_buckets_coefficient = 2,
    map_buckets_min_avg_size = 0
"""

QUESTIONS = {
    "percentiles of a number by a text, one day": Question(
        "feedback.score", group_by=("metadata.model",), since=DAY[0], until=DAY[1]
    ),
    "percentiles of a number by a text, 30 days": Question(
        "feedback.score", group_by=("metadata.model",)
    ),
    "percentiles of a number by prompt, 30 days": Question("feedback.score", group_by=("prompt",)),
    "the same, approximate": Question("feedback.score", group_by=("prompt",), approximate=True),
    "thumbs up by prompt and model, 30 days": Question(
        "feedback.rating", group_by=("prompt", "metadata.model")
    ),
    "thumbs up day by day in Berlin": Question(
        "feedback.rating", bucket="day", timezone="Europe/Berlin"
    ),
    "two prompts compared, thumbs up, 30 days": Question(
        "feedback.rating", compare="prompt = v1, v2"
    ),
    "reasons where thumbs are down, 30 days": Question(
        "feedback.reason", where=("feedback.rating = false",)
    ),
    "weighted feedback by prompt, 30 days": Question("weighted", group_by=("prompt",)),
    "how much feedback, hour by hour, one day": Question(
        "count", bucket="hour", group_by=("source",), since=DAY[0], until=DAY[1]
    ),
}


def ask(clickhouse: ClickHouse, question: Question, *, final: bool, runs: int) -> float:
    """Return the median of the time that all statements of a question take, in ms."""
    plan = parse(question, NOW)
    statements = compile_plan(plan, BUDGET, read_storage(plan, clickhouse, {}))
    times_ms = []
    for _ in range(runs + 1):  # the first warms the files' pages
        began_s = time.perf_counter()
        for statement in statements:
            sql = statement.sql
            if not final:
                sql = sql.replace("FROM feedback_current", "FROM feedback")
                sql = sql.replace("FROM feedback FINAL", "FROM feedback")
            clickhouse.query(sql, statement.parameters, dict(statement.settings))
        times_ms.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(times_ms[1:])


def prepare(clickhouse: ClickHouse, rows: int, *, buckets: bool) -> None:
    """Make tables and rows, unless they are there."""
    migrate(clickhouse)
    if not clickhouse.select("SELECT count() FROM feedback")[0][0]:
        if buckets:
            clickhouse.command(f"ALTER TABLE feedback MODIFY SETTING {BUCKETS}")
        fill(clickhouse, rows, said=lambda text: print(text, file=sys.stderr))
    for path in PROMOTED:
        if any(held == path for _, held in read_promoted(clickhouse, {})):
            demote(clickhouse, path)


def describe(clickhouse: ClickHouse, engine: str) -> str:
    """Return a line about the data."""
    ((rows, parts, size),) = clickhouse.select(
        "SELECT sum(rows), count(), formatReadableSize(sum(bytes_on_disk)) FROM system.parts "
        "WHERE active AND table = 'feedback' AND database = currentDatabase()"
    )
    return f"{rows:,} rows in {parts} parts, {size} on disk; {engine}; {DAYS} days from {FIRST_DAY}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5, help="of each question, after one more")
    parser.add_argument(
        "--data-dir", type=Path, help="keeps the rows; else they are made each time"
    )
    parser.add_argument("--buckets", action="store_true", help="store maps in buckets by key")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as scratch,
        ClickHouseNode(options.data_dir or Path(scratch)) as node,
    ):
        url = urlsplit(node.url)
        clickhouse = ClickHouse(ClickHouseAddress(host=str(url.hostname), port=int(url.port or 0)))
        prepare(clickhouse, options.rows, buckets=options.buckets)
        print(describe(clickhouse, node.engine))
        columns = {
            "with FINAL": [
                ask(clickhouse, question, final=True, runs=options.runs)
                for question in QUESTIONS.values()
            ],
            "without": [
                ask(clickhouse, question, final=False, runs=options.runs)
                for question in QUESTIONS.values()
            ],
        }
        for path in PROMOTED:
            promote(clickhouse, path)
        while read_backfill(clickhouse).parts_to_do:
            time.sleep(1)
        columns["promoted"] = [
            ask(clickhouse, question, final=True, runs=options.runs)
            for question in QUESTIONS.values()
        ]
        print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for at, title in enumerate(QUESTIONS):
            print(f"| {title} | {' | '.join(f'{times[at]:,.0f}' for times in columns.values())} |")
        clickhouse.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
