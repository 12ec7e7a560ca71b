"""Where the SDK's tests send to, and how they read what arrived."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from tests.mock_kafka import MockKafka

from afterword import Client, MemoryTransport, Message, Transport
from afterword.gateway import GatewayServer, KeyFile, ServerOptions, create_app
from afterword_schemas.receipt import Receipt, ReceiptStatus

ReadTopic = Callable[[str, str], list[Message]]
StartGateway = Callable[..., GatewayServer]


@pytest.fixture
def memory() -> MemoryTransport:
    """A transport that keeps what it is given."""
    return MemoryTransport()


@pytest.fixture
def client(memory: MemoryTransport) -> Client:
    """A client of project `acme` on `memory`."""
    return Client(project="acme", transport=memory)


@pytest.fixture(scope="session")
def mock_broker() -> Iterator[str]:
    """Address of librdkafka's mock broker: the real protocol without Java."""
    with MockKafka() as node:
        yield node.bootstrap_servers


@pytest.fixture(params=["mock", pytest.param("kafka", marks=pytest.mark.services)])
def target(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Address and fresh topic of each broker in turn: the mock, then Kafka itself."""
    if request.param == "mock":
        return request.getfixturevalue("mock_broker"), f"test-{uuid.uuid4().hex}"
    return request.getfixturevalue("kafka").bootstrap_servers, request.getfixturevalue("topic")


@pytest.fixture(scope="session")
def read_topic() -> ReadTopic:
    """A function that returns what stands on a topic now, partition after partition."""

    def read(address: str, topic: str) -> list[Message]:
        consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "log_level": 0})
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers]
        expected = sum(consumer.get_watermark_offsets(end, timeout=10)[1] for end in ends)
        consumer.assign(ends)
        found = consumer.consume(expected, timeout=20) if expected else []
        consumer.close()
        assert len(found) == expected
        found.sort(key=lambda message: (message.partition() or 0, message.offset() or 0))
        return [_to_message(message) for message in found]

    return read


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """A function that serves the gateway on a transport, until the test ends or `should_exit` is set."""
    with ExitStack() as running:

        def start(
            transport: Transport, *, keys: Path | None = None, port: int = 0
        ) -> GatewayServer:
            app = create_app(
                transport,
                keys=KeyFile(keys or tmp_path / "no-keys.json"),
                receipts=_NoReceipts(),
                ready=lambda: None,
            )
            server = GatewayServer(app, ServerOptions(host="127.0.0.1", port=port))
            thread = threading.Thread(target=server.run)
            thread.start()
            running.callback(thread.join)
            running.callback(server.__setattr__, "should_exit", True)  # noqa: FBT003  # a plain attribute
            return server

        yield start


class _NoReceipts:
    """Knows of no event."""

    def find(self, project: str, feedback_id: str) -> Receipt:  # the protocol's
        """See `Receipts.find`."""
        return Receipt(feedback_id, ReceiptStatus.UNKNOWN)


def _to_message(message: object) -> Message:
    key, value, headers = (getattr(message, name)() for name in ("key", "value", "headers"))
    return Message(key, value, tuple(headers or ()))
