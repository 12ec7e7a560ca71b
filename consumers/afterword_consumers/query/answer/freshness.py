"""How complete the tables are that an answer was read from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Freshness:
    """How complete the tables are, for whoever reads them next.

    Attributes:
        complete_until: Everything that Kafka's topic held at this time, in UTC, is in the tables:
            stored or refused. None where that is not known.
        waiting: Messages of the topic that the group has not finished; None where Kafka did not
            answer.
        note: A sentence where `complete_until` is None or old, else empty.
        lags: What `waiting` is of each partition, by its number; None where Kafka did not answer.
    """

    complete_until: datetime | None
    waiting: int | None
    note: str = ""
    lags: Mapping[int, int] | None = field(default=None, compare=False)  # it has no hash
