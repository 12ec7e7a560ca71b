"""Kafka's startup cache: made once, used by every start, and never in the way."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from afterword_schemas import ConfigurationError
from afterword_stack.local.java import Java, find_java
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.local.startup_cache import MIN_JAVA_WITH_CACHE, startup_options


class Recorder:
    """Writes what Java would write, and counts how often."""

    def __init__(self, *, fails: bool = False) -> None:
        self.calls: list[str] = []
        self._fails = fails

    def record(self, option: str) -> None:
        """Start and stop a broker with the option."""
        self.calls.append(option)
        if self._fails:
            raise ConfigurationError("Kafka stopped while starting.")
        Path(option.removeprefix("-XX:AOTCacheOutput=")).write_bytes(b"classes")


def java(tmp_path: Path, *, major: int = MIN_JAVA_WITH_CACHE, release: str = "25.0.2") -> Java:
    """Return a Java of a release."""
    home = tmp_path / f"jdk-{release}"
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "release").write_text(f'JAVA_VERSION="{release}"\n')
    return Java(home / "bin" / "java", major)


def options_of(tmp_path: Path, recorder: Recorder, java: Java) -> tuple[str, ...]:
    """Ask for the options of a start, with Kafka's jars in `tmp_path`."""
    return startup_options(java, tmp_path / "kafka-4.3.1", recorder.record, lambda _: None)


def test_a_cache_is_recorded_once_and_then_used(tmp_path: Path) -> None:
    """Every start gets the same file, which appears whole."""
    recorder = Recorder()
    first = options_of(tmp_path, recorder, java(tmp_path))
    assert options_of(tmp_path, recorder, java(tmp_path)) == first
    [cache] = tmp_path.glob("*.aot")
    assert first[0] == f"-XX:AOTCache={cache}"
    assert cache.read_bytes() == b"classes"
    assert len(recorder.calls) == 1


def test_each_release_of_java_has_a_cache_of_its_own(tmp_path: Path) -> None:
    """Java refuses a file that another release wrote."""
    recorder = Recorder()
    for release in ("25.0.2", "25.0.3"):
        options_of(tmp_path, recorder, java(tmp_path, release=release))
    assert len(recorder.calls) == len(set(tmp_path.glob("*.aot"))) == 2


def test_an_older_java_starts_without_a_cache(tmp_path: Path) -> None:
    """It does not know the option, and would not start with it."""
    recorder = Recorder()
    assert options_of(tmp_path, recorder, java(tmp_path, major=24)) == ()
    assert recorder.calls == []


def test_a_recording_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    """Kafka starts as it would without, and no later start waits for another try."""
    recorder = Recorder(fails=True)
    for _ in range(2):
        assert options_of(tmp_path, recorder, java(tmp_path)) == ()
    assert len(recorder.calls) == 1


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    """The cache is a help, and not what a start needs."""
    recorder = Recorder()
    missing = tmp_path / "missing" / "kafka-4.3.1"
    said: list[str] = []
    assert startup_options(java(tmp_path), missing, recorder.record, said.append) == ()
    assert recorder.calls == []
    assert "No such file" in said[-1]


def test_two_starts_at_once_record_one_cache(tmp_path: Path) -> None:
    """The second waits for the first."""
    recorder = Recorder()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(options_of, tmp_path, recorder, java(tmp_path)) for _ in range(2)]
    assert len({future.result() for future in waiting}) == 1
    assert len(recorder.calls) == 1


@pytest.mark.services
def test_a_broker_reads_its_classes_from_the_cache(kafka: KafkaNode) -> None:
    """Java maps the file into its memory; it would not, if anything did not fit."""
    found = find_java()
    assert found is not None
    if found.major < MIN_JAVA_WITH_CACHE:
        pytest.skip("this Java has no such cache")
    [broker] = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(kafka.data_dir / "server.properties") in (process.info["cmdline"] or ())
        and "java" in process.name()
    ]
    assert any(mapped.path.endswith(".aot") for mapped in broker.memory_maps())
