"""What emits feedback: the SDK that services import.

    from afterword import Client

    with Client("localhost:9092", project="support-bot") as client:
        client.rate(trace_id="tr-7f3", up=True, user="u-19")

Everything public is named here; modules that begin with an underscore may change.
"""

from afterword._client import DEFAULT_TOPIC, Client
from afterword._counters import Stats
from afterword._errors import (
    ClosedError,
    DeliveryError,
    DeliveryFailure,
    EventError,
    QueueFullError,
    RefusedError,
    StoreError,
)
from afterword._fields import ChangeFields, EventFields, Fields
from afterword._http.transport import HttpTransport
from afterword._identity import enrichment_id
from afterword._kafka.transport import KAFKA_DEFAULTS, KafkaTransport
from afterword._memory import MemoryTransport, Message
from afterword._sender import Delivery
from afterword._signals import COPIED, EDITED, REGENERATED, Signal
from afterword._spool.transport import SpoolTransport
from afterword._trace import current_trace_id, trace
from afterword._transport import DeliveryCallback, Headers, Transport
from afterword._votes import vote_id
from afterword_schemas.errors import (
    AfterwordError,
    ConfigurationError,
    RejectCode,
    RetryableError,
)

__all__ = [
    "COPIED",
    "DEFAULT_TOPIC",
    "EDITED",
    "KAFKA_DEFAULTS",
    "REGENERATED",
    "AfterwordError",
    "ChangeFields",
    "Client",
    "ClosedError",
    "ConfigurationError",
    "Delivery",
    "DeliveryCallback",
    "DeliveryError",
    "DeliveryFailure",
    "EventError",
    "EventFields",
    "Fields",
    "Headers",
    "HttpTransport",
    "KafkaTransport",
    "MemoryTransport",
    "Message",
    "QueueFullError",
    "RefusedError",
    "RejectCode",
    "RetryableError",
    "Signal",
    "SpoolTransport",
    "Stats",
    "StoreError",
    "Transport",
    "current_trace_id",
    "enrichment_id",
    "trace",
    "vote_id",
]
