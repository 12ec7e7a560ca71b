"""What an error of Kafka's means for a message, decided in one place.

    if blames_a_message(error): ...      # one of its batch; each is sent again by itself
    verdict = to_delivery_failure(error)      # RefusedError: never send it again

An error is one of three kinds. Kafka refuses the message for good, whatever happens to the topic's
other messages. A person must act, because no message of the topic passes. Or another try may help.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from confluent_kafka import KafkaError

from afterword._errors import DeliveryFailure, RefusedError
from afterword_schemas.errors import RejectCode, RetryableError

CLOSED: Final = "closed before Kafka took it"
"""Why a message was given up that was still under way at the end."""

_LARGE: Final = (
    RejectCode.TOO_LARGE,
    "the topic takes no message of this size; raise its max.message.bytes",
)

_REFUSALS: Final[Mapping[str, tuple[RejectCode, str]]] = MappingProxyType(
    {
        "MSG_SIZE_TOO_LARGE": _LARGE,
        "RECORD_LIST_TOO_LARGE": _LARGE,
        "INVALID_MSG_SIZE": _LARGE,
        "INVALID_TIMESTAMP": (
            RejectCode.OUT_OF_RANGE,
            "the topic takes no message of this time; see this machine's clock and the topic's limits",
        ),
        "INVALID_RECORD": (
            RejectCode.STORE_REFUSED,
            "Kafka does not take this message; see the topic's cleanup.policy and the broker's log",
        ),
    }
)

_BESIDE: Final = "_INVALID_DIFFERENT_RECORD"
"""Of a message that was in one batch with the one that is wrong."""

_ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "TOPIC_AUTHORIZATION_FAILED": "allow this client to write to the topic (ACL Write)",
        "CLUSTER_AUTHORIZATION_FAILED": "allow this client to write (ACL IdempotentWrite on the cluster)",
        "SASL_AUTHENTICATION_FAILED": "see sasl.username and sasl.password",
        "_AUTHENTICATION": "see sasl.username and sasl.password",
        "_SSL": "see ssl.ca.location and the certificate of the broker",
        "UNSUPPORTED_SASL_MECHANISM": "see sasl.mechanism",
        "UNKNOWN_TOPIC_OR_PART": "create the topic",
        "_UNKNOWN_TOPIC": "create the topic",
        "TOPIC_EXCEPTION": "see the name of the topic",
        "POLICY_VIOLATION": "see the policies of the broker",
        "UNSUPPORTED_FOR_MESSAGE_FORMAT": "raise the message format of the topic",
        "UNSUPPORTED_COMPRESSION_TYPE": "see compression.type",
        "INVALID_REQUIRED_ACKS": "see acks",
    }
)
"""What a person does about an error that waiting does not mend."""

_PURGED: Final = frozenset({"_PURGE_QUEUE", "_PURGE_INFLIGHT"})

_OUT_OF_STEP: Final = frozenset(
    {
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "UNKNOWN_PRODUCER_ID",
        "INVALID_PRODUCER_EPOCH",
        "INVALID_PRODUCER_ID_MAPPING",
        "PRODUCER_FENCED",
    }
)
"""Of a producer whose state the broker does not share any more."""


def blames_a_message(error: KafkaError) -> bool:
    """Whether one message of the batch is wrong. Kafka refuses the others of the batch with it."""
    return error.name() in _REFUSALS or error.name() == _BESIDE


def ended_with_producer(error: KafkaError) -> bool:
    """Whether a message failed because of its producer, so that another producer may deliver it."""
    return error.name() in _PURGED or error.name() in _OUT_OF_STEP


def to_delivery_failure(error: KafkaError) -> DeliveryFailure:
    """Return the error of a message that was alone in its batch: a `RefusedError` if it is for good."""
    name = error.name()
    if name in _PURGED:
        return RetryableError(CLOSED)
    said = f"{error.str()} [{name}]"
    if refusal := _REFUSALS.get(name):
        code, advice = refusal
        return RefusedError(code, "$", f"{advice}: {said}")
    advice = _ADVICE.get(name, "")
    return RetryableError(f"{advice}: {said}" if advice else said)
