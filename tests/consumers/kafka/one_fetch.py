"""Take events into the tables as a worker does, without Kafka.

ingest(clickhouse, [b'{"feedback_id": …}'])
"""

import json
from collections.abc import Sequence

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.testing import MemoryBroker, MemoryMessage


def ingest(clickhouse: ClickHouse, events: Sequence[bytes]) -> None:
    """Store events, each under its id as key; none may be refused."""
    broker = MemoryBroker()
    for event in events:
        broker.publish(event, key=json.loads(event)["feedback_id"].encode())
    source = broker.member("group")
    worker = Worker(source, ClickHouseSink(clickhouse), WorkerOptions())
    poll = source.poll

    def last_poll(most: int, timeout_s: float) -> Sequence[MemoryMessage]:
        worker.stop()
        return poll(most, timeout_s)

    source.poll = last_poll  # type: ignore[method-assign,assignment]  # one fetch takes it all
    worker.run()
    assert (worker.stats.stored, worker.stats.rejected) == (len(events), 0)
