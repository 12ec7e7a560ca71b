"""Compare what a topic is set to with what Afterword needs of it.

    for concern in find_concerns("127.0.0.1:9092", "feedback.events", {}):
        print(concern.what, concern.next_step)

A topic that takes smaller messages, or other times, than Afterword accepts fails for some events alone,
and only once they come. So it is looked at before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.admin._config import ConfigResource  # the package exports it without a type
from confluent_kafka.admin._resource import ResourceType  # likewise

from afterword_consumers.kafka.faults import check_topic, open_admin
from afterword_schemas.counted import counted
from afterword_schemas.limits import MAX_EVENT_BYTES

_TIMEOUT_S: Final = 5.0

_ENVELOPE_BYTES: Final = 2_000
"""What key, headers and the record batch add to an event, generously."""

_SECOND_MS: Final = 1_000
_DAY_MS: Final = 86_400 * _SECOND_MS
_AHEAD_MS: Final = 300 * _SECOND_MS
"""How far ahead Afterword lets a clock be."""

_FOR_EVER_MS: Final = 3_650 * _DAY_MS
_ALTER: Final = (
    "kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {to}"
)


@dataclass(frozen=True, slots=True)
class Concern:
    """A setting of a topic that does not fit.

    Attributes:
        what: The setting, its value, and what comes of it.
        next_step: What to do.
        must_change: Whether events are lost, or none are taken, as it is.
    """

    what: str
    next_step: str
    must_change: bool = False

    def __str__(self) -> str:
        return f"{self.what} {self.next_step}"


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """What a topic is set to.

    Attributes:
        values: By Kafka's names; what the broker did not tell is not there.
        replicas: Of the partition that has the fewest.
        brokers: In the cluster.
    """

    values: Mapping[str, str]
    replicas: int = 1
    brokers: int = 1

    def number(self, name: str, otherwise: int) -> int:
        """Return a number; the other one where the broker did not tell it."""
        return int(self.values.get(name, otherwise))


def find_concerns(bootstrap_servers: str, topic: str, settings: Mapping[str, Any]) -> list[Concern]:
    """Ask the broker for a topic's settings, and return those that do not fit.

    Raises:
        ConfigurationError: There is no such topic, or the client refuses a setting.
        UnreachableError: It did not answer.
        AccessError: It does not let this user see the topic's settings.
    """
    found = _read(bootstrap_servers, topic, settings)
    return [] if found is None else list(judge(topic, found))


def judge(topic: str, found: TopicSettings) -> Iterator[Concern]:
    """Yield what does not fit, the worst first."""
    yield from _judge_loss(topic, found)
    yield from _judge_size(topic, found)
    yield from _judge_times(topic, found)


def _judge_loss(topic: str, found: TopicSettings) -> Iterator[Concern]:
    if "compact" in found.values.get("cleanup.policy", "delete"):
        yield Concern(
            f"cleanup.policy of topic {topic} holds compact: Kafka drops messages of a feedback_id "
            "before a worker reads them.",
            _alter(topic, "cleanup.policy=delete"),
            must_change=True,
        )
    in_sync = found.number("min.insync.replicas", 1)
    if in_sync > found.replicas:
        yield Concern(
            f"min.insync.replicas of topic {topic} is {in_sync}, but it has "
            f"{counted(found.replicas, 'replica')}: Kafka takes no message.",
            _alter(topic, f"min.insync.replicas={found.replicas}"),
            must_change=True,
        )
    elif in_sync == 1 and found.brokers > 1:
        yield Concern(
            f"min.insync.replicas of topic {topic} is 1: when one broker fails, acknowledged "
            "events can be lost.",
            "Use three replicas, and " + _alter(topic, "min.insync.replicas=2"),
        )
    if found.values.get("unclean.leader.election.enable") == "true":
        yield Concern(
            f"unclean.leader.election.enable of topic {topic} is true: Kafka may drop acknowledged "
            "events.",
            _alter(topic, "unclean.leader.election.enable=false"),
        )
    yield from _judge_retention(topic, found)


def _judge_retention(topic: str, found: TopicSettings) -> Iterator[Concern]:
    kept_ms = found.number("retention.ms", -1)
    if 0 <= kept_ms < _DAY_MS:
        yield Concern(
            f"retention.ms of topic {topic} is {kept_ms:,}: Kafka deletes what no worker read for "
            "less than a day.",
            _alter(topic, f"retention.ms={7 * _DAY_MS}"),
        )
    kept_bytes = found.number("retention.bytes", -1)
    if kept_bytes >= 0:
        yield Concern(
            f"retention.bytes of topic {topic} is {kept_bytes:,}: Kafka deletes what is beyond, "
            "also what no worker has read.",
            _alter(topic, "retention.bytes=-1"),
        )


def _judge_size(topic: str, found: TopicSettings) -> Iterator[Concern]:
    most = found.number("max.message.bytes", MAX_EVENT_BYTES + _ENVELOPE_BYTES)
    if most < MAX_EVENT_BYTES + _ENVELOPE_BYTES:
        yield Concern(
            f"max.message.bytes of topic {topic} is {most:,}: Kafka refuses events that Afterword "
            f"accepts, which may have {MAX_EVENT_BYTES:,} bytes.",
            _alter(topic, "max.message.bytes=1048588"),
        )


def _judge_times(topic: str, found: TopicSettings) -> Iterator[Concern]:
    if found.values.get("message.timestamp.type") == "LogAppendTime":
        yield Concern(
            f"message.timestamp.type of topic {topic} is LogAppendTime: a message that is replayed "
            "counts as said now, and overrules what was said since.",
            _alter(topic, "message.timestamp.type=CreateTime"),
        )
    past_ms = found.number("message.timestamp.before.max.ms", _FOR_EVER_MS)
    if past_ms < _FOR_EVER_MS:
        yield Concern(
            f"message.timestamp.before.max.ms of topic {topic} is {past_ms:,}: Kafka refuses older "
            "messages, as a spool after an outage or `afterword rejected replay` publish them.",
            _alter(topic, f"message.timestamp.before.max.ms={2**63 - 1}"),
        )
    ahead_ms = found.number("message.timestamp.after.max.ms", _AHEAD_MS)
    if ahead_ms < _AHEAD_MS:
        yield Concern(
            f"message.timestamp.after.max.ms of topic {topic} is {ahead_ms:,}: Kafka refuses "
            "messages of a host whose clock is that much ahead.",
            _alter(topic, "message.timestamp.after.max.ms=3600000"),
        )


def _alter(topic: str, to: str) -> str:
    return f"Change it: {_ALTER.format(topic=topic, to=to)}"


def _read(bootstrap_servers: str, topic: str, settings: Mapping[str, Any]) -> TopicSettings | None:
    """Return what a topic is set to; None where the broker has no such settings."""
    with open_admin(bootstrap_servers, settings) as admin:
        cluster = admin.list_topics(topic, timeout=_TIMEOUT_S)
        check_topic(cluster.topics[topic].error, topic, bootstrap_servers)
        if cluster.controller_id not in cluster.brokers:
            return None  # librdkafka's mock: the client would wait for a controller to ask
        replicas = [len(at.replicas) for at in cluster.topics[topic].partitions.values()]
        resource = ConfigResource(ResourceType.TOPIC, topic)
        asked = admin.describe_configs([resource], request_timeout=_TIMEOUT_S)
        values = {each.name: each.value for each in asked[resource].result().values() if each.value}
    return TopicSettings(values, min(replicas, default=1), len(cluster.brokers))
