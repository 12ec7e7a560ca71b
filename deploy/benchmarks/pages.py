"""How long each view of the page takes, first and again, how much it sends, and how many statements it asks.

    python deploy/benchmarks/pages.py --rows 10000000 --data-dir /var/tmp/questions

Starts a ClickHouse of its own on this machine with 30 days of feedback, as `questions.py` does, and asks for each
view over all of it, several times. Prints the median in ms as a table. A folder that holds the rows already is used as
it is. Nothing comes from a cache of ClickHouse's.
"""

# ruff: noqa: INP001, T201  # a script that prints its result, in no package

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from questions import describe, prepare
from starlette.testclient import TestClient

from afterword_consumers.api import Api, ApiOptions, create_api
from afterword_consumers.api.reuse import ReusingConnection
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.dashboard import PageOptions, create_pages
from afterword_consumers.query import Budget, Freshness, Parameter, Table
from afterword_stack.local.clickhouse import ClickHouseNode

VIEWS = {
    "Overview": "/?period=90d",
    "Explore: thumbs by model and day": "/explore?period=90d&group_by=metadata.model&bucket=day",
    "Explore: percentiles by prompt": "/explore?period=90d&measure=feedback.score&group_by=prompt",
    "Explore: the two periods": "/explore?period=90d&compare=before",
    "Traces, newest": "/traces?period=90d",
    "Traces, worst": "/traces?period=90d&order=worst",
    "A trace": "/trace?id={trace_id}",
    "Rejected": "/rejected?period=90d",
    "Pipeline": "/pipeline",
}


class Timed:
    """A connection that notes how long each statement takes, and forgets its answers when told."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.times_ms: list[float] = []
        self._reusing = ReusingConnection(self)
        self._depth = threading.local()

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Parameter],
        settings: Mapping[str, int | float | str],
    ) -> Table:
        """See `Connection`; what `ReusingConnection` does not know comes back here."""
        if not getattr(self._depth, "inside", False):
            self._depth.inside = True
            try:
                return self._reusing.query(sql, parameters, settings)
            finally:
                self._depth.inside = False
        began_s = time.perf_counter()
        found = self._clickhouse.query(sql, parameters, settings)
        self.times_ms.append(1000 * (time.perf_counter() - began_s))
        return found


class Fresh:
    """What Kafka would say."""

    def read(self) -> Freshness:
        """See `FreshnessSource`."""
        return Freshness(datetime.now(UTC), 0, lags={0: 0})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5, help="of each view, after one more")
    parser.add_argument(
        "--data-dir", type=Path, help="keeps the rows; else they are made each time"
    )
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as scratch,
        ClickHouseNode(options.data_dir or Path(scratch)) as node,
    ):
        url = urlsplit(node.url)
        clickhouse = ClickHouse(ClickHouseAddress(host=str(url.hostname), port=int(url.port or 0)))
        prepare(clickhouse, options.rows, buckets=False)
        print(describe(clickhouse, node.engine))
        measure(clickhouse, options.runs)
        clickhouse.close()
    return 0


def measure(clickhouse: ClickHouse, runs: int) -> None:
    """Ask for each view and print what it took."""
    connection = Timed(clickhouse)
    api = Api(
        connection,
        admit=lambda _: None,
        freshness=Fresh(),
        options=ApiOptions(budget=Budget(time_s=120)),
    )
    ((trace_id,),) = clickhouse.select("SELECT any(trace_id) FROM feedback WHERE trace_id != ''")
    with TestClient(create_api(api, pages=create_pages(PageOptions()))) as http:
        print(
            "| view | ms | again, nothing stored since | bytes of HTML | statements | slowest, ms |"
        )
        print("|---|---|---|---|---|---|")
        for name, path in VIEWS.items():
            first_ms: list[float] = []
            again_ms: list[float] = []
            slowest_ms: list[float] = []
            statements, size = 0, 0
            for run in range(runs + 1):
                connection.forget()
                for times_ms in (first_ms, again_ms):
                    began_s = time.perf_counter()
                    answer = http.get(path.format(trace_id=trace_id))
                    answer.raise_for_status()
                    if run:  # the first warms the files' pages
                        times_ms.append(1000 * (time.perf_counter() - began_s))
                    if times_ms is first_ms:
                        statements, size = len(connection.times_ms), len(answer.content)
                        slowest_ms.append(max(connection.times_ms))
            print(
                f"| {name} | {statistics.median(first_ms):,.0f} | {statistics.median(again_ms):,.0f} "
                f"| {size:,} | {statements} | {statistics.median(slowest_ms[1:]):,.0f} |"
            )


if __name__ == "__main__":
    sys.exit(main())
