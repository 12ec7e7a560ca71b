"""How complete an answer is: asked of Kafka before the tables are read, told in a line after it."""

from contextlib import closing

from afterword_consumers.freshness import FreshnessBook
from afterword_consumers.query import Freshness
from afterword_consumers.rfc3339 import rfc3339
from afterword_stack.settings import Settings


def read_freshness(settings: Settings) -> Freshness:
    """Return how complete the tables are now; without Kafka, that it is not known."""
    book = FreshnessBook(
        settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic,
        group=settings.kafka_group,
        settings=settings.kafka,
    )
    with closing(book):
        return book.read()


def freshness_line(fresh: Freshness) -> str:
    """Return it as a sentence for people."""
    if fresh.complete_until is None:
        return fresh.note
    line = f"complete until {rfc3339(fresh.complete_until)}"
    if fresh.note:
        return f"{line}: {fresh.note}"
    return f"{line}; {fresh.waiting:,} more messages wait" if fresh.waiting else line
