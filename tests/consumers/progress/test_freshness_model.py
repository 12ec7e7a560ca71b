"""Until when the tables are complete, on a model of everything that can happen, in any order."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from afterword_consumers.ingest.source import Committed, EndOffsets
from afterword_consumers.ingest.watermark import Watermark, from_metadata, to_metadata
from afterword_consumers.kafka.lag import PartitionLag
from afterword_consumers.progress.freshness import judge

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
PARTITIONS = range(2)
STEP = timedelta(microseconds=1300)


class Pipeline(RuleBasedStateMachine):
    """A topic, two workers that ask, store, commit, die and take over, and a reader, step by step.

    `tables` is how far each partition is stored. Steps take more than a millisecond.
    """

    @initialize()
    def begin(self) -> None:
        """Nothing is published, and a worker has just come."""
        self.now = NOW
        self.log: dict[int, list[datetime]] = {p: [] for p in PARTITIONS}
        self.held: dict[int, int | None] = dict.fromkeys(PARTITIONS)
        self.begins = dict.fromkeys(PARTITIONS, 0)
        self.tables = dict.fromkeys(PARTITIONS, 0)
        self.group: dict[int, tuple[int, str | None]] = {}
        self.owner: dict[int, int | None] = dict.fromkeys(PARTITIONS, 0)
        self.position = dict.fromkeys(PARTITIONS, 0)
        self.stored = dict.fromkeys(PARTITIONS, 0)
        self.workers = [Watermark(), Watermark()]
        self.workers[0].assign({p: Committed(0) for p in PARTITIONS}, NOW)
        self.asked: list[datetime | None] = [None, None]
        self.answers: list[EndOffsets | None] = [None, None]
        self.reader: tuple[datetime, dict[int, tuple[int, str | None]]] | None = None

    @rule(p=st.sampled_from(PARTITIONS), count=st.integers(1, 2))
    def publish(self, p: int, count: int) -> None:
        """Messages are appended; those after an open transaction wait to be readable."""
        self.log[p] += [self.now] * count
        self.now += STEP

    @rule(
        p=st.sampled_from(PARTITIONS), what=st.sampled_from(["fetch", "store", "commit", "renew"])
    )
    def work(self, p: int, what: str) -> None:
        """The owner of a partition does one of its things there, if it has one."""
        worker = self.owner[p]
        if worker is None:
            return
        if what == "fetch":
            readable = len(self.log[p]) if self.held[p] is None else self.held[p]
            self.position[p] = max(self.position[p], readable or 0)
        elif what == "store":
            self.stored[p] = self.position[p]
            self.tables[p] = max(self.tables[p], self.stored[p])
        elif what == "commit":
            self._commit(worker, {p: self.stored[p]})
        else:
            self._commit(worker, self.workers[worker].overdue(timedelta(0)))

    @rule(p=st.sampled_from(PARTITIONS), steps=st.integers(1, 3))
    def talk(self, p: int, steps: int) -> None:
        """The owner sends its question, the broker tells the ends, the answer arrives: or not yet."""
        worker = self.owner[p]
        for _ in range(0 if worker is None else steps):
            self._talk(worker or 0)

    @rule(p=st.sampled_from(PARTITIONS), what=st.sampled_from(["transaction", "delete", "die"]))
    def disturb(self, p: int, what: str) -> None:
        """A transaction is opened or ends; what is committed is deleted; an owner dies."""
        worker = self.owner[p]
        if what == "transaction":
            self.held[p] = len(self.log[p]) if self.held[p] is None else None
        elif what == "delete":
            self.begins[p] = max(self.begins[p], self.group.get(p, (0, None))[0])
        elif worker is not None:
            self.workers[worker] = Watermark()
            self.asked[worker] = self.answers[worker] = None
            self.owner = {q: None if one == worker else one for q, one in self.owner.items()}

    @rule(p=st.sampled_from(PARTITIONS), worker=st.integers(0, 1))
    def rebalance(self, p: int, worker: int) -> None:
        """A worker takes a partition over from what is committed, whoever had it."""
        before = self.owner[p]
        if before is not None:
            self.workers[before].forget([p])
        offset, metadata = self.group.get(p, (0, None))
        self.owner[p], self.position[p], self.stored[p] = worker, offset, offset
        mark = from_metadata(metadata)
        self.workers[worker].assign({p: Committed(offset, mark[1] if mark else None)}, self.now)

    @rule()
    def read(self) -> None:
        """A reader notes the time and learns what is committed, or then learns the ends."""
        if self.reader is None:
            self.reader = self.now, dict(self.group)
            self.now += STEP
        else:
            self._check(*self.reader)
            self.reader = None

    @invariant()
    def answer_at_any_moment(self) -> None:
        """A reader that is quick enough for nothing to happen meanwhile."""
        self._check(self.now, self.group)

    def _check(self, asked_at: datetime, group: Mapping[int, tuple[int, str | None]]) -> None:
        """No message from before the answer's time is missing in the tables, nor can one still come."""
        until = judge([self._lag(p, group.get(p)) for p in PARTITIONS], asked_at).complete_until
        missing = [self.log[p][self.tables[p]] for p in PARTITIONS if self._is_behind(p)]
        assert until is None or all(until <= published for published in (self.now, *missing))

    def _commit(self, worker: int, offsets: Mapping[int, int]) -> None:
        times = self.workers[worker].proven(offsets)
        for p, offset in offsets.items():
            self.group[p] = offset, to_metadata("id", times[p]) if p in times else None
        self.workers[worker].record(offsets, times)

    def _talk(self, worker: int) -> None:
        if (answer := self.answers[worker]) is not None:
            self.workers[worker].learn(answer)
            self.asked[worker] = self.answers[worker] = None
        elif (asked_at := self.asked[worker]) is not None:
            self.answers[worker] = EndOffsets(
                asked_at, {p: len(log) for p, log in self.log.items()}
            )
        else:
            self.asked[worker] = self.now
            self.now += STEP

    def _is_behind(self, p: int) -> bool:
        return self.tables[p] < len(self.log[p])

    def _lag(self, p: int, committed: tuple[int, str | None] | None) -> PartitionLag:
        begin, end = self.begins[p], len(self.log[p])
        if committed is None:
            return PartitionLag(p, None, begin, end)
        mark = from_metadata(committed[1])
        return PartitionLag(p, committed[0], begin, end, mark[1] if mark else None)


def test_the_answer_never_says_too_much() -> None:
    """Whatever happens, in whatever order: see `Pipeline.read`."""
    run_state_machine_as_test(
        Pipeline,
        settings=settings(max_examples=5 * settings().max_examples, stateful_step_count=50),
    )
