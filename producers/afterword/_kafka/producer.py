"""A producer that outlives fatal errors, and the only module that imports librdkafka's.

    producer = LastingProducer(settings, KafkaLog())
    producer.produce("feedback.events", value, key, on_delivery=report)

A fatal error, such as a missing right to write or a sequence that the broker has lost, ends a producer
of librdkafka's for good. Its messages are then reported as purged, see `ended_with_producer`.
"""

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from afterword._kafka.errors import to_delivery_failure
from afterword._kafka.log import KafkaLog
from afterword_schemas.errors import ConfigurationError, RetryableError

_PAUSE_S: Final = 1.0


class ProducerEndedError(RetryableError):
    """A fatal error ended the producer a moment ago, and the next is not due yet."""


@dataclass(eq=False, slots=True)
class _Life:
    """A producer of librdkafka's, and whether a fatal error ended it."""

    producer: Producer
    ended: bool = False


class LastingProducer:
    """Producers one after the other, with what a queue needs of the interface of one.

    Only `produce` needs the caller's lock.

    Args:
        settings: Of librdkafka.
        log: Told what librdkafka has to say, and of each fatal error.

    Attributes:
        last_end: The fatal error that ended the last producer that ended, once `serve` heard of it.

    Raises:
        ConfigurationError: librdkafka refuses a setting.
    """

    def __init__(self, settings: Mapping[str, Any], log: KafkaLog) -> None:
        self._settings, self._log = {"error_cb": log.note_error, **settings}, log
        self._life = self._begin()
        self._past: list[_Life] = []  # whose last reports are still to come
        self._due_s = 0.0
        self.last_end: KafkaError | None = None

    def __len__(self) -> int:
        return sum(len(life.producer) for life in self._lives())

    def produce(self, *message: Any, **more: Any) -> None:
        """Take a message, as `Producer.produce` does.

        Raises:
            ProducerEndedError: See there.
        """
        life = self._life
        if not life.ended:
            try:
                life.producer.produce(*message, **more)
            except KafkaException as error:
                if error.args[0].name() != "_FATAL":
                    raise
                life.ended = True  # `serve` will hear why
            else:
                return
        self._replace(life)
        self._life.producer.produce(*message, **more)

    def serve(self, wait_s: float) -> None:
        """Collect the reports that are known, and push messages that linger for `wait_s`."""
        for life in self._lives():
            if life.ended and len(life.producer):
                life.producer.purge(blocking=False)
            try:
                if wait_s:
                    life.producer.flush(wait_s)
                else:
                    life.producer.poll(0)
            except KafkaException as error:
                if not error.args[0].fatal():
                    raise
                life.ended = True
                self.last_end = error.args[0]
                self._log.note_end(error.args[0])
        for life in tuple(self._past):
            if not len(life.producer):
                with suppress(ValueError):  # another thread did it
                    self._past.remove(life)

    def purge(self) -> None:
        """Give up what is under way; `serve` reports it."""
        for life in self._lives():
            life.producer.purge(blocking=False)

    def abandon(self) -> None:
        """See `KafkaSendQueue.abandon`."""
        for life in self._lives():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(life.producer))

    def _lives(self) -> Iterator[_Life]:
        yield from tuple(self._past)
        yield self._life

    def _replace(self, life: _Life) -> None:
        if self._life is not life:  # a signal handler did it just now
            return
        if monotonic() < self._due_s:
            error = "a fatal error" if self.last_end is None else to_delivery_failure(self.last_end)
            raise ProducerEndedError(f"Kafka's client ended, and starts again soon: {error}")
        following = self._begin()
        self._past.append(life)
        self._life = following
        self._due_s = monotonic() + _PAUSE_S

    def _begin(self) -> _Life:
        try:
            return _Life(Producer(self._settings, logger=self._log))
        except (KafkaException, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The Kafka settings are refused: {_first_line(error)}"
            ) from None


def _first_line(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    text = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return text.strip().partition("\n")[0]
