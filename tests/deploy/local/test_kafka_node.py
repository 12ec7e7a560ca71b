"""The Kafka node and its stand-in: what they promise beyond being Kafka."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from tests.waiting import wait_until

from afterword_schemas.errors import ConfigurationError
from afterword_stack.local import kafka as kafka_module
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.java import parse_major
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.local.kafka_admin import new_admin
from afterword_stack.local.ports import persisted_ports


def produce(bootstrap_servers: str, topic: str, values: list[bytes]) -> None:
    """Write the values and wait for the broker to have them."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def consume(bootstrap_servers: str, topic: str, count: int, group: str = "g") -> list[bytes | None]:
    """Read that many records from the beginning, in a group of the new protocol, and commit."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes | None] = []
    wait_until(lambda: _take(consumer, values, count))
    consumer.commit(asynchronous=False)
    consumer.close()
    return values


def _take(consumer: Consumer, values: list[bytes | None], count: int) -> bool:
    values.extend(message.value() for message in consumer.consume(count, timeout=0.2))
    return len(values) >= count


@pytest.mark.services
def test_records_go_through_a_consumer_group(kafka: KafkaNode, topic: str) -> None:
    """What is produced is consumed, in a group of the KIP-848 protocol."""
    produce(kafka.bootstrap_servers, topic, [b"a", b"\x00\xff"])
    assert set(consume(kafka.bootstrap_servers, topic, 2)) == {b"\x00\xff", b"a"}


@pytest.mark.services
def test_the_node_listens_on_the_loopback_only(kafka: KafkaNode) -> None:
    """No other machine reaches broker or controller."""
    assert kafka._child is not None
    family = psutil.Process(kafka._child.pid).children(recursive=True)
    hosts = {c.laddr.ip for p in family for c in p.net_connections() if c.status == "LISTEN"}
    assert {host.removeprefix("::ffff:") for host in hosts} == {"127.0.0.1"}


@pytest.mark.services
def test_creating_a_topic_twice_leaves_it_as_it_is(kafka: KafkaNode, topic: str) -> None:
    """A second creation neither fails nor changes the number of partitions."""
    kafka.create_topic(topic, partitions=9)
    topics = new_admin(kafka.bootstrap_servers).list_topics(timeout=10).topics
    assert len(topics[topic].partitions) == 4


@pytest.mark.services
def test_a_bad_topic_configuration_says_so(kafka: KafkaNode) -> None:
    """The broker's refusal reaches the operator as a setup error."""
    with pytest.raises(ConfigurationError, match="refused topic bad-config"):
        kafka.create_topic("bad-config", config={"no.such.setting": "1"})


@pytest.mark.services
def test_asking_for_an_unknown_topic_does_not_create_it(kafka: KafkaNode) -> None:
    """A mistyped topic is an error, not a new topic."""
    admin = new_admin(kafka.bootstrap_servers)
    admin.list_topics("never-made", timeout=10)
    assert "never-made" not in admin.list_topics(timeout=10).topics


@pytest.mark.services
def test_records_address_and_offsets_survive_sigkill(tmp_path: Path) -> None:
    """A node killed and started again has its address, records and committed offsets."""
    with KafkaNode(tmp_path) as node:
        address = node.bootstrap_servers
        node.create_topic("t")
        produce(address, "t", [b"1", b"2"])
        assert consume(address, "t", 2) == [b"1", b"2"]
        node.kill()
        assert not node.alive
        node.start()
        assert node.bootstrap_servers == address
        produce(address, "t", [b"3"])
        assert consume(address, "t", 1) == [b"3"]
        assert consume(address, "t", 3, group="other") == [b"1", b"2", b"3"]


@pytest.mark.services
def test_two_nodes_run_side_by_side(kafka: KafkaNode, tmp_path: Path) -> None:
    """Two nodes have different addresses and cluster ids, and know nothing of each other."""
    with KafkaNode(tmp_path) as other:
        other.create_topic("only-here")
        assert other.bootstrap_servers != kafka.bootstrap_servers
        theirs, ours = (
            new_admin(node.bootstrap_servers).list_topics(timeout=10) for node in (other, kafka)
        )
        assert "only-here" in theirs.topics
        assert "only-here" not in ours.topics
        assert theirs.cluster_id != ours.cluster_id


@pytest.mark.services
@pytest.mark.usefixtures("kafka")
def test_a_folder_that_cannot_be_formatted_is_named(tmp_path: Path) -> None:
    """A file stands where the data should lie."""
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(ConfigurationError, match=r"could not format .*\n.*File exists"):
        KafkaNode(tmp_path).start()


@pytest.mark.services
def test_a_failed_start_shows_the_log(tmp_path: Path) -> None:
    """The error carries the reason from the broker's log, and nothing is left running."""
    with KafkaNode(tmp_path) as node:
        pass
    broken = KafkaNode(tmp_path, extra_properties={"log.retention.bytes": "many"})
    with pytest.raises(ConfigurationError, match=r"(?s)many.*kafka\.log"):
        broken.start()
    assert not broken.alive
    assert not node.alive


@pytest.mark.services
def test_killing_the_starter_ends_the_broker(tmp_path: Path) -> None:
    """A parent that is killed by SIGKILL leaves no broker behind."""
    code = (
        "import sys, pathlib; from afterword_stack.local.kafka import KafkaNode\n"
        "node = KafkaNode(pathlib.Path(sys.argv[1])); node.start()\n"
        "print(node._child.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        guard = psutil.Process(int(parent.stdout.readline()))
        family = [guard, *guard.children(recursive=True)]
        assert [p for p in family if "java" in p.name()]
        parent.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Stopping has an end, whatever the process does with the signal."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    child = ChildProcess("stubborn", [sys.executable, "-c", code], tmp_path / "log")
    child.start()
    child.wait_ready(lambda: child.last_lines() == "up", timeout_s=10)
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    child.stop(timeout_s=0.2)
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_a_killed_guard_is_not_the_end_of_the_tale(tmp_path: Path) -> None:
    """When only the guard was killed, stopping still ends the server."""
    code = "import time; print('up', flush=True); time.sleep(99)"
    child = ChildProcess("orphan", [sys.executable, "-c", code], tmp_path / "log")
    child.start()
    child.wait_ready(lambda: child.last_lines() == "up", timeout_s=10)
    family = psutil.Process(child.pid).children(recursive=True)
    os.kill(child.pid, signal.SIGKILL)
    child.stop(timeout_s=5)
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_a_child_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    """The last lines and the path of the log are in the error."""
    child = ChildProcess(
        "short", [sys.executable, "-c", "raise SystemExit('no luck')"], tmp_path / "log"
    )
    child.start()
    with pytest.raises(ConfigurationError, match=r"(?s)short stopped while starting.*no luck.*log"):
        child.wait_ready(lambda: False, timeout_s=20)


def test_without_java_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Java is an operator's problem with a next step."""
    monkeypatch.setattr(kafka_module, "find_java", lambda: None)
    with pytest.raises(ConfigurationError, match=r"Java 17 or later.*pip install"):
        kafka_module.require_java()


@pytest.mark.parametrize(
    ("output", "major"),
    [('openjdk version "25.0.2"', 25), ('java version "1.8.0_1"', 8), ("nonsense", 0)],
)
def test_the_java_release_is_read_from_its_output(output: str, major: int) -> None:
    """Old and new version texts give the feature release."""
    assert parse_major(output) == major


def test_a_port_taken_by_another_program_is_named(tmp_path: Path) -> None:
    """A kept port that is in use stops the start and says which."""
    port = persisted_ports(tmp_path / "ports.json", ["a"])["a"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ConfigurationError, match=f"Port {port} .* is in use"):
            persisted_ports(tmp_path / "ports.json", ["a"])


@pytest.mark.parametrize("content", ["", "[]", '{"a": "x"}'])
def test_a_damaged_port_file_is_named(tmp_path: Path, content: str) -> None:
    """A file that cannot be read back names itself."""
    path = tmp_path / "ports.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ports\.json is damaged"):
        persisted_ports(path, ["a"])
