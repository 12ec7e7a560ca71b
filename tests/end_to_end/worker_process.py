"""One worker in a process of its own, for tests that kill it.

    python worker_process.py SERVERS TOPIC GROUP CLICKHOUSE_PORT DATABASE [commit-first | tell]

It reads a line before it joins the group, so that a test can have one ready. `commit-first` is wrong
on purpose: it shows that the tests see what a worker loses that commits before it inserts. With
`tell` it prints each time until which it knows how far the topic goes.
"""

import signal
import sys

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.source import EndOffsets
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_schemas.backoff import Backoff

OPTIONS = WorkerOptions(
    batch_max_rows=200, batch_max_age_s=0.05, backoff=Backoff(first_s=0.02, max_s=0.1)
)


class PrintingSource(KafkaSource):
    """Prints when the ends that it gives were asked for."""

    def end_offsets(self) -> EndOffsets | None:
        """See `Source`."""
        ends = super().end_offsets()
        if ends is not None:
            sys.stdout.write(f"{ends.asked_at.isoformat()}\n")
            sys.stdout.flush()
        return ends


class CommitFirst(Worker):
    """Loses what it has fetched when it dies."""

    def _hand_over(self) -> None:
        self._source.commit(self._batch.next_offsets, {})
        super()._hand_over()


def main(servers: str, topic: str, group: str, port: str, database: str, *variant: str) -> None:
    """Run until SIGTERM."""
    sink = ClickHouseSink(ClickHouse(ClickHouseAddress(port=int(port), database=database)))
    sys.stdin.readline()
    kind = CommitFirst if variant == ("commit-first",) else Worker
    source = PrintingSource if variant == ("tell",) else KafkaSource
    worker = kind(source(servers, topic=topic, group=group), sink, OPTIONS)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
