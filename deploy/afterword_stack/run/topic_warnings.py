"""Warn of a topic that is set to take less than Afterword accepts.

with warning_of_topic(settings): worker.run()     # beside the work, which does not wait for it
"""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from afterword_consumers.kafka.topic_limits import Concern, find_concerns
from afterword_schemas import AfterwordError
from afterword_stack.settings import Settings
from afterword_stack.terminal.console import notice

_END_S: Final = 1.0


def read_concerns(settings: Settings) -> list[Concern]:
    """Return what does not fit of the settings' topic; errors as for `find_concerns`."""
    return find_concerns(settings.kafka_bootstrap_servers, settings.kafka_topic, settings.kafka)


@contextmanager
def warning_of_topic(settings: Settings) -> Iterator[None]:
    """Look at the topic beside the block, and print a notice for each setting that does not fit.

    Says nothing where Kafka does not answer or does not tell: the work itself finds that out.
    """
    looking = threading.Thread(target=_warn, args=(settings,), daemon=True)
    looking.start()
    try:
        yield
    finally:
        looking.join(_END_S)


def _warn(settings: Settings) -> None:
    with contextlib.suppress(AfterwordError):
        for concern in read_concerns(settings):
            notice(f"warning: {concern}")
