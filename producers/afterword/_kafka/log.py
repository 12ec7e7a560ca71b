"""What librdkafka says of its connections, in one line for each change.

librdkafka repeats itself for each broker and each try, several times a second while Kafka is away. Here
the same complaint is a warning once a minute at most, and a debugging line otherwise.
"""

import logging
import re
from time import monotonic
from typing import Final

from confluent_kafka import KafkaError

_log = logging.getLogger("afterword.kafka")

_QUIET_S: Final = 60.0
_MAX_KNOWN: Final = 100
_COMPLAINT: Final = logging.WARNING
_CHANGING: Final = re.compile(
    r"^\[thrd:[^\]]*\]: (\S+/\S+: )?"  # which of the brokers
    r"|ipv[46]#\S+"
    r"|\([^)]*(?:in state|suppressed)[^)]*\)"
    r"|\d+"
)


class KafkaLog:
    """The logger of one producer, with what librdkafka calls a logger: one method `log`."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._complained = False

    def log(self, level: int, text: str, facility: str, client: str, said: str) -> None:
        """Pass a line on, unless it was said a moment ago."""
        if level >= _COMPLAINT and not self._is_news(f"{facility} {_CHANGING.sub('', said)}"):
            level = logging.DEBUG
        self._complained = self._complained or level >= _COMPLAINT
        _log.log(level, text, facility, client, said)

    def note_error(self, error: KafkaError) -> None:
        """Hear of an error of a connection, of which `log` has heard."""
        _log.debug("%s [%s]", error.str(), error.name())

    def note_end(self, error: KafkaError) -> None:
        """Say that a fatal error ended the producer, and what happens now."""
        said = f"{error.str()} [{error.name()}]"
        level = logging.ERROR if self._is_news(f"end {said}") else logging.DEBUG
        self._complained = True
        _log.log(level, "Kafka's client ended, and another takes its place: %s", said)

    def note_delivery(self) -> None:
        """Say that Kafka takes events again, if a complaint came before."""
        if self._complained:
            self._complained = False
            _log.warning("Kafka takes events again.")

    def _is_news(self, complaint: str) -> bool:
        now_s = monotonic()
        if now_s - self._said.get(complaint, -_QUIET_S) < _QUIET_S:
            return False
        if len(self._said) >= _MAX_KNOWN:
            self._said.clear()
        self._said[complaint] = now_s
        return True
