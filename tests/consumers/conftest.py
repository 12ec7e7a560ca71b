"""A worker on the fakes whose every poll a test can watch and use."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import orjson
import pytest

from afterword_consumers.ingest.source import EndOffsets, RebalanceListener
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.testing import MemoryBroker, MemoryMessage, MemorySource, MemoryStore
from afterword_schemas.backoff import Backoff

GROUP = "afterword"


class HookedSource:
    """A `Source` that calls a test before each poll, in the worker's own thread."""

    def __init__(self, source: MemorySource) -> None:
        self.source = source
        self.before_poll: Callable[[], None] = lambda: None
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None
        self.answer: Callable[[], EndOffsets | None] = source.end_offsets
        self.before_rejoin: Callable[[], None] = lambda: None
        self.taken = self.polls = self.pauses = 0

    @property
    def topic_id(self) -> str:
        """See `Source`."""
        return self.source.topic_id

    @property
    def topic_is_gone(self) -> bool:
        """See `Source`."""
        return self.source.topic_is_gone

    def subscribe(self, listener: RebalanceListener) -> None:
        """See `Source`."""
        self.source.subscribe(listener)

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[MemoryMessage]:
        """See `Source`."""
        self.polls += 1
        self.before_poll()
        messages = self.source.poll(max_messages, timeout_s)
        self.taken += len(messages)
        return messages

    def end_offsets(self) -> EndOffsets | None:
        """See `Source`."""
        return self.answer()

    def commit(self, next_offsets: Mapping[int, int], caught_up: Mapping[int, datetime]) -> None:
        """See `Source`."""
        self.before_commit()
        self.source.commit(next_offsets, caught_up)
        self.after_commit()

    def pause(self) -> None:
        """See `Source`."""
        self.pauses += 1
        self.source.pause()

    def resume(self) -> None:
        """See `Source`."""
        self.source.resume()

    def rejoin(self) -> None:
        """See `Source`."""
        self.before_rejoin()
        self.source.rejoin()

    def close(self) -> None:
        """See `Source`."""
        self.source.close()


class WorkerHarness:
    """A broker of two partitions, a store, and workers between them."""

    group = GROUP

    def __init__(self) -> None:
        self.broker, self.store = MemoryBroker(partitions=2), MemoryStore()

    def publish(self, count: int, first: int = 0) -> None:
        """Publish numbered events, alternating between the partitions."""
        for number in range(first, first + count):
            event = {
                "feedback_id": f"5f0e2f0a-0000-4000-8000-{number:012}",
                "project": "acme",
                "trace_id": "t",
                "value": 1,
            }
            self.broker.publish(orjson.dumps(event), partition=number % 2)

    def worker(
        self,
        *,
        rows: int = 1000,
        size: int = 1_000_000,
        age_s: float = 60.0,
        drain_s: float = 20.0,
    ) -> tuple[Worker, HookedSource]:
        """Return a worker that waits hardly at all between tries, and its source."""
        source = HookedSource(self.broker.member(GROUP))
        options = WorkerOptions(
            batch_max_rows=rows,
            batch_max_bytes=size,
            batch_max_age_s=age_s,
            drain_timeout_s=drain_s,
            backoff=Backoff(first_s=0.001, max_s=0.01),
        )
        return Worker(source, self.store, options), source

    @property
    def committed(self) -> dict[int, int]:
        """The group's offsets."""
        return dict(self.broker.committed[GROUP])

    @property
    def caught_up(self) -> dict[int, datetime]:
        """The times beside the group's offsets."""
        return dict(self.broker.caught_up[GROUP])

    @property
    def stored(self) -> list[int]:
        """The numbers of the events in the store, in order."""
        return sorted(int(row[1][-12:]) for row in self.store.current)


@pytest.fixture
def harness() -> WorkerHarness:
    """A fresh one."""
    return WorkerHarness()
