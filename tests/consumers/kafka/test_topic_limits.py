"""What a topic is set to, against what Afterword needs of it."""

import uuid

import pytest
from tests.mock_kafka import MockKafka

from afterword_consumers.kafka.topic_limits import TopicSettings, find_concerns, judge
from afterword_schemas import UnreachableError
from afterword_stack.local.kafka import KafkaNode

GOOD = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.after.max.ms": "3600000",
    "min.insync.replicas": "2",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
    "unclean.leader.election.enable": "false",
}


def found(**changed: str) -> list[tuple[str, bool]]:
    """Return the settings that are named where some are changed, and whether they must change."""
    values = GOOD | {name.replace("_", "."): value for name, value in changed.items()}
    concerns = judge("t", TopicSettings(values, replicas=3, brokers=3))
    return [(each.what.partition(" ")[0], each.must_change) for each in concerns]


def test_a_topic_as_it_should_be_gives_no_concern() -> None:
    """As the README says to make it, and where the broker tells nothing."""
    assert found() == []
    assert list(judge("t", TopicSettings({}))) == []


@pytest.mark.parametrize(
    ("changed", "must_change"),
    [
        ({"cleanup_policy": "compact"}, True),
        ({"cleanup_policy": "compact,delete"}, True),
        ({"max_message_bytes": "1001999"}, False),
        ({"message_timestamp_type": "LogAppendTime"}, False),
        ({"message_timestamp_before_max_ms": "604800000"}, False),
        ({"message_timestamp_after_max_ms": "299999"}, False),
        ({"min_insync_replicas": "4"}, True),
        ({"min_insync_replicas": "1"}, False),
        ({"retention_ms": "86399999"}, False),
        ({"retention_bytes": "0"}, False),
        ({"unclean_leader_election_enable": "true"}, False),
    ],
)
def test_a_setting_that_does_not_fit_is_named(
    changed: dict[str, str], *, must_change: bool
) -> None:
    """By Kafka's name, alone."""
    (name,) = (name.replace("_", ".") for name in changed)
    assert found(**changed) == [(name, must_change)]


@pytest.mark.parametrize(
    "changed",
    [
        {"max_message_bytes": "1002000"},
        {"message_timestamp_after_max_ms": "300000"},
        {"retention_ms": "86400000"},
        {"retention_ms": "-1"},
    ],
)
def test_a_setting_at_the_edge_fits(changed: dict[str, str]) -> None:
    """The least that is enough is enough."""
    assert found(**changed) == []


def test_one_broker_needs_no_second_replica() -> None:
    """A local stack has one, and nothing to change."""
    only = TopicSettings(GOOD | {"min.insync.replicas": "1"}, replicas=1, brokers=1)
    assert list(judge("t", only)) == []


@pytest.mark.services
def test_the_settings_are_those_of_the_broker(kafka: KafkaNode) -> None:
    """Those of the topic, and the broker's defaults for the others."""
    small, usual = f"small-{uuid.uuid4().hex}", f"usual-{uuid.uuid4().hex}"
    kafka.create_topic(small, config={"max.message.bytes": "20000", "cleanup.policy": "compact"})
    kafka.create_topic(usual)
    concerns = find_concerns(kafka.bootstrap_servers, small, {})
    assert [(each.what.partition(" ")[0], each.must_change) for each in concerns] == [
        ("cleanup.policy", True),
        ("max.message.bytes", False),
    ]
    assert find_concerns(kafka.bootstrap_servers, usual, {}) == []


def test_a_broker_without_such_settings_gives_no_concern() -> None:
    """As the mock is one."""
    with MockKafka() as mock:
        mock.create_topic("t")
        assert find_concerns(mock.bootstrap_servers, "t", {}) == []


def test_a_broker_that_is_away_is_unreachable() -> None:
    """It is for the caller to say so, or not."""
    with pytest.raises(UnreachableError):
        find_concerns("127.0.0.1:1", "t", {"socket.connection.setup.timeout.ms": 1000})
