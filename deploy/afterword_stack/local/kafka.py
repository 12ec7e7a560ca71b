"""Apache Kafka on this machine: one KRaft node, broker and controller in one JVM.

    with KafkaNode(Path("kafka-data")) as kafka:
        kafka.create_topic("feedback.events", partitions=4)
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})

A node started again on the same folder has the same address, topics, records and groups, also after
SIGKILL: the operating system has what the broker had written.
"""

import base64
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from afterword_schemas.atomic_file import replace_file
from afterword_schemas.errors import ConfigurationError
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.jars import KAFKA_VERSION, Progress, print_progress, resolve_kafka_jars
from afterword_stack.local.java import MIN_JAVA, Java, find_java
from afterword_stack.local.kafka_admin import create_topic, new_admin, serves
from afterword_stack.local.lifecycle import Lifecycle
from afterword_stack.local.ports import LOOPBACK, persisted_ports
from afterword_stack.local.startup_cache import startup_options

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 20.0
_FORMAT_TIMEOUT_S: Final = 60.0
_RECORD_TIMEOUT_S: Final = 120.0

# A small heap and a simple collector; C1 alone compiles, which starts faster than both compilers.
_JVM: Final = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)

_PROPERTIES: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A mistyped topic must be an error, not a new topic.
    "auto.create.topics.enable": "false",
    # One node cannot replicate.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Internal topics have 50 partitions by default: 50 folders each for one user's offsets.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # Only lower bounds: they let `extra_properties` and clients ask for quick failure detection.
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    # A worker that was killed keeps its partitions for a session: 45 s by default.
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "1000",
    # After SIGKILL the controller takes the broker for alive, and so refuses its successor, for a
    # session: 9 s by default.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "num.recovery.threads.per.data.dir": "1",
    # 128 MB by default, more than a small heap has left.
    "log.cleaner.dedupe.buffer.size": "2097152",
}


class KafkaNode(Lifecycle):
    """One Kafka broker and its data folder.

    Args:
        data_dir: Holds data, ports, configuration and log; created if need be.
        extra_properties: Broker properties that override this module's.
        java_options: Of the broker's JVM, in place of those that use the startup cache.
        progress: Is told when the jars must be fetched, or the startup cache made.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        extra_properties: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
        progress: Progress = print_progress,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.version = KAFKA_VERSION
        self._extra_properties = dict(extra_properties or {})
        self._java_options = java_options
        self._progress = progress
        self._bootstrap_servers = ""
        self._child: ChildProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, `host:port`; known from the first start on."""
        if not self._bootstrap_servers:
            raise ConfigurationError("Kafka has not been started.", "Start it first.")
        return self._bootstrap_servers

    @property
    def log_path(self) -> Path:
        """The broker's log since its last start."""
        return self.data_dir / "kafka.log"

    @property
    def alive(self) -> bool:
        """Whether the broker's process runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start the broker and return when it serves; does nothing if it runs.

        Raises:
            ConfigurationError: No Java, no jars, a port in use, or the broker's own failure with its log.
        """
        if self.alive:
            return
        java, jars = require_java(), resolve_kafka_jars(progress=self._progress)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        ports = persisted_ports(self.data_dir / "ports.json", ["broker", "controller"])
        self._bootstrap_servers = f"{LOOPBACK}:{ports['broker']}"
        config = self._write_config(ports)
        cached: Sequence[str] = ()
        if not self._java_options:
            cached = startup_options(java, jars, _record_start, self._progress)
        run = [str(java.path), *_JVM, *cached, "-cp", f"{jars}/*"]
        self._format_once(run, jars, config)
        command = [*run, *self._java_options, "kafka.Kafka", str(config)]
        self._child = ChildProcess("Kafka", command, self.log_path)
        self._child.start()
        admin = new_admin(self.bootstrap_servers)
        self._child.wait_ready(lambda: serves(admin), _START_TIMEOUT_S)

    def stop(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Shut the broker down in order; kill it if that takes longer."""
        if self._child is not None:
            self._child.stop(timeout_s)

    def kill(self) -> None:
        """End the broker as a crash would, by SIGKILL."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """Stop the broker in order, if it runs, and start it on the same data and address."""
        self.stop()
        self.start()

    def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create the topic and wait until every partition has a leader; one that exists stays."""
        create_topic(self.bootstrap_servers, name, partitions, config or {})

    def _write_config(self, ports: Mapping[str, int]) -> Path:
        broker, controller = (f"{LOOPBACK}:{ports[name]}" for name in ("broker", "controller"))
        properties = _PROPERTIES | {
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{broker}",
            # Static voters: the address is not written into the data, so ports may be chosen anew.
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self.data_dir / "data"),
            **self._extra_properties,
        }
        path = self.data_dir / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        return path

    def _format_once(self, run: list[str], jars: Path, config: Path) -> None:
        """Give the folder a cluster id, and the feature levels of this release of Kafka.

        Kafka's tool decides on the levels, in a JVM of its own, once; what it wrote serves all other folders.
        """
        data = self.data_dir / "data"
        if (data / "meta.properties").exists():
            return
        levels, known = data / "bootstrap.checkpoint", jars.with_name(f"{jars.name}.checkpoint")
        try:
            if known.exists():
                data.mkdir(exist_ok=True)
                shutil.copyfile(known, levels)
                identity = f"version=1\ncluster.id={_new_cluster_id()}\nnode.id=1\n"
                replace_file(data / "meta.properties", identity.encode())
            else:
                self._run_format_tool(run, config)
                with suppress(OSError):  # a cache that cannot be written to is none
                    replace_file(known, levels.read_bytes())
        except OSError as error:
            raise self._format_error(str(error)) from error

    def _run_format_tool(self, run: list[str], config: Path) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        done = subprocess.run(  # noqa: S603  # our own java and configuration
            [*run, *tool, "-t", _new_cluster_id(), "-c", str(config)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).splitlines()
            said = "\n".join(line for line in lines if not line.startswith("\tat "))
            raise self._format_error(said[:2000])

    def _format_error(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"Kafka could not format {self.data_dir}:\n{reason}\n",
            "If the folder holds nothing of worth, delete it.",
        )


def require_java() -> Java:
    """Return a Java that runs Kafka.

    Raises:
        ConfigurationError: There is none.
    """
    java = find_java()
    if java is None:
        raise ConfigurationError(
            f"Kafka needs Java {MIN_JAVA} or later, and there is none.",
            "pip install '.[local]' in a clone brings one, or install a JRE and put it on PATH.",
        )
    return java


def _record_start(option: str) -> None:
    """Run a broker from start to end with an option that makes Java write what it loaded."""
    with tempfile.TemporaryDirectory(prefix="afterword-kafka-") as folder:
        node = KafkaNode(Path(folder), java_options=[option])
        try:
            node.start()
            node.stop(_RECORD_TIMEOUT_S)
        finally:
            node.kill()


def _new_cluster_id() -> str:
    # Kafka's own form, 22 characters of URL-safe base64, but the tool takes a leading "-" for an option.
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
