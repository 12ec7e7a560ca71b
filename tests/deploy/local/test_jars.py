"""Kafka's jars: checked, whole or absent, and fetched once."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from afterword_schemas.errors import ConfigurationError
from afterword_stack.local import jars
from afterword_stack.local.folders import cache_dir, data_dir
from afterword_stack.local.jars import locked_jars, resolve_kafka_jars, verify


@pytest.fixture(scope="module")
def real_jars() -> Path:
    """The user's own cache of jars; filled by the first run."""
    return resolve_kafka_jars()


def copying(source: Path) -> Callable[[Path, jars.Progress], None]:
    """Return what stands in for the network: a copy of jars that are there already."""

    def fetch(folder: Path, progress: jars.Progress) -> None:
        progress("copying")
        shutil.copytree(source, folder, dirs_exist_ok=True)

    return fetch


def nothing(_: str) -> None:
    """Take a line of progress and forget it."""


def test_the_lock_file_pins_every_jar() -> None:
    """46 jars, each with a coordinate of three parts and a SHA-256, none twice."""
    locked = locked_jars()
    assert len({jar.coordinate for jar in locked}) == len(locked) == 46
    assert {len(jar.sha256) for jar in locked} == {64}
    assert {jar.coordinate.count(":") for jar in locked} == {2}


def test_the_pom_and_the_lock_file_name_the_same_kafka() -> None:
    """Nobody can raise one version and forget the other."""
    maven = {"m": "http://maven.apache.org/POM/4.0.0"}
    pom = ET.parse(jars._POM)
    pinned = {
        ":".join(
            one.findtext(f"m:{part}", "", maven) for part in ("groupId", "artifactId", "version")
        )
        for one in pom.iterfind(".//m:dependency", maven)
    }
    assert pinned == {
        f"org.apache.kafka:kafka_2.13:{jars.KAFKA_VERSION}",
        "org.slf4j:slf4j-simple:1.7.36",
    }
    assert pinned <= {jar.coordinate for jar in locked_jars()}


def test_the_cached_jars_match_the_lock_file(real_jars: Path) -> None:
    """What Kafka is started from is what was locked."""
    verify(real_jars)


def test_a_complete_folder_needs_no_network(
    real_jars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call fetches nothing."""
    monkeypatch.setattr(jars, "_fetch", lambda *_: pytest.fail("fetched again"))
    assert resolve_kafka_jars() == real_jars


def test_a_changed_jar_is_refused_and_leaves_no_folder(
    real_jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wrong byte is named, and the folder does not appear."""
    mirror = tmp_path / "mirror"
    shutil.copytree(real_jars, mirror)
    with (mirror / "slf4j-api-1.7.36.jar").open("ab") as jar:
        jar.write(b"x")
    monkeypatch.setattr(jars, "_fetch", copying(mirror))
    with pytest.raises(ConfigurationError, match=r"1 are not .*slf4j-api-1\.7\.36\.jar"):
        resolve_kafka_jars(tmp_path / "cache", nothing)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["kafka.lock"]


def test_an_unexpected_jar_is_refused(real_jars: Path, tmp_path: Path) -> None:
    """A jar that was never locked would be on the class path, so it is refused."""
    shutil.copytree(real_jars, tmp_path / "jars")
    (tmp_path / "jars" / "extra.jar").touch()
    with pytest.raises(ConfigurationError, match=r"extra\.jar"):
        verify(tmp_path / "jars")


def test_an_incomplete_folder_is_fetched_anew(
    real_jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who deleted a jar gets it back."""
    monkeypatch.setattr(jars, "_fetch", copying(real_jars))
    folder = resolve_kafka_jars(tmp_path, nothing)
    (folder / "re2j-1.8.jar").unlink()
    assert resolve_kafka_jars(tmp_path, nothing) == folder
    verify(folder)


def test_two_at_once_fetch_once(
    real_jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of many callers succeed, and one of them fetched."""
    said: list[str] = []
    monkeypatch.setattr(jars, "_fetch", copying(real_jars))
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: resolve_kafka_jars(tmp_path, said.append), range(8)))
    assert set(folders) == {tmp_path / f"kafka-{jars.KAFKA_VERSION}"}
    assert said.count("copying") == 1


def test_two_processes_at_once_both_succeed(real_jars: Path, tmp_path: Path) -> None:
    """The lock holds between processes too."""
    code = (
        "import shutil, sys, pathlib; from afterword_stack.local import jars\n"
        "jars._fetch = lambda to, _: shutil.copytree(sys.argv[1], to, dirs_exist_ok=True)\n"
        "print(jars.resolve_kafka_jars(pathlib.Path(sys.argv[2])))\n"
    )
    command = [sys.executable, "-c", code, str(real_jars), str(tmp_path)]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: subprocess.run(command, check=False), range(2)))
    assert [run.returncode for run in runs] == [0, 0]
    verify(tmp_path / f"kafka-{jars.KAFKA_VERSION}")


def test_a_failing_maven_is_quoted_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Maven said reaches the operator, with what to check."""
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] no route to host'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ConfigurationError, match=r"(?s)no route to host.*settings\.xml"):
        resolve_kafka_jars(tmp_path / "cache", nothing)


def test_with_neither_maven_nor_jgo_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that could fetch is an operator's problem with a next step."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[local\]' in a clone"):
        resolve_kafka_jars(tmp_path, nothing)


def test_the_folders_follow_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute XDG folder is used; a relative one is ignored, as the standard says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert cache_dir() == tmp_path / "afterword"
    assert data_dir() == Path.home() / ".local/share/afterword"
