"""Apache Kafka's jars in the user's cache, fetched once and checked.

    jars = resolve_kafka_jars()      # ~/.cache/afterword/kafka-4.3.1

Maven fetches them when it is installed, so that a mirror in its settings.xml is used; otherwise the
PyPI package `jgo` does. Either way every jar must match `kafka.sha256`, and the folder appears whole or
not at all: what exists was checked and is used without network.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterword_schemas.errors import ConfigurationError
from afterword_stack.local.folders import cache_dir
from afterword_stack.local.lock import FileLock

KAFKA_VERSION: Final = "4.3.1"

Progress = Callable[[str], None]
"""Is told what long work is doing, one line at a time."""

_POM: Final = Path(__file__).with_name("kafka.pom.xml")
_CHECKSUMS: Final = Path(__file__).with_name("kafka.sha256")
_MAVEN_TIMEOUT_S: Final = 900
_NEXT_STEP: Final = (
    "Check the network, or the proxy and mirror in Maven's settings.xml, and run it again; "
    "or use a broker of your own, or Docker."
)


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar of the lock file.

    Attributes:
        sha256: Its checksum, in hexadecimal.
        coordinate: `group:artifact:version`.
    """

    sha256: str
    coordinate: str

    @property
    def file_name(self) -> str:
        """The jar's name in a class path folder."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def print_progress(line: str) -> None:
    """Write the line to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # progress is for the person who waits


def locked_jars() -> list[Jar]:
    """Return what `kafka.sha256` lists."""
    lines = _CHECKSUMS.read_text().splitlines()
    return [Jar(*line.split()) for line in lines]


def resolve_kafka_jars(root: Path | None = None, progress: Progress = print_progress) -> Path:
    """Return the folder with Kafka's jars, fetching them if they are not there yet.

    Args:
        root: The cache; by default the user's.
        progress: Is told what takes long.

    Raises:
        ConfigurationError: They cannot be fetched.
        ConfigurationError: A jar is not the one that was locked.
    """
    root = root or cache_dir()
    folder = root / f"kafka-{KAFKA_VERSION}"
    if is_complete(folder):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    busy = ConfigurationError(
        f"Another process has been fetching Kafka into {root} for too long.",
        "Wait for it or end it, then run this again.",
    )
    with FileLock(root / "kafka.lock", busy=busy, wait_s=_MAVEN_TIMEOUT_S):
        if not is_complete(folder):  # the process we waited for may have done it
            _fetch_into(folder, progress)
    return folder


def is_complete(folder: Path) -> bool:
    """Return whether the folder holds every jar."""
    return all((folder / jar.file_name).is_file() for jar in locked_jars())


def verify(folder: Path) -> None:
    """Compare the folder's jars with the lock file.

    Raises:
        ConfigurationError: A jar is missing, unexpected, or has another checksum.
    """
    expected = {jar.file_name: jar.sha256 for jar in locked_jars()}
    actual = {path.name: _sha256(path) for path in folder.glob("*.jar")}
    wrong = sorted(
        name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name)
    )
    if wrong:
        raise ConfigurationError(
            f"Of Kafka's jars, {len(wrong)} are not those that were locked: {', '.join(wrong)}.",
            "Do not run them. See whether a proxy or mirror changes files, then try again.",
        )


def _fetch_into(folder: Path, progress: Progress) -> None:
    """Fetch, check, and only then give the folder its name."""
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=folder.parent) as temporary:
        fresh = Path(temporary) / "jars"
        fresh.mkdir()
        _fetch(fresh, progress)
        verify(fresh)
        shutil.rmtree(folder, ignore_errors=True)  # incomplete, or we would not be here
        fresh.rename(folder)
    progress(f"Kafka {KAFKA_VERSION} is in {folder}")


def _fetch(folder: Path, progress: Progress) -> None:
    maven = shutil.which("mvn")
    progress(
        f"Fetching Apache Kafka {KAFKA_VERSION} (44 MB, once), by {'Maven' if maven else 'jgo'} ..."
    )
    if maven:
        _fetch_by_maven(maven, folder)
    else:
        _fetch_by_jgo(folder, progress)


def _fetch_by_maven(maven: str, folder: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    try:
        run = subprocess.run(  # noqa: S603  # the mvn on PATH and our own POM
            [maven, "-q", "-B", "-f", str(_POM), *goal],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_MAVEN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError("Maven did not fetch Kafka in 15 minutes.", _NEXT_STEP) from error
    if run.returncode != 0:
        said = "\n".join((run.stdout + run.stderr).strip().splitlines()[:12])
        raise ConfigurationError(f"Maven could not fetch Kafka:\n{said}\n", _NEXT_STEP)


def _fetch_by_jgo(folder: Path, progress: Progress) -> None:
    jars = locked_jars()
    with (
        tempfile.TemporaryDirectory(dir=folder.parent) as repository,
        ThreadPoolExecutor(max_workers=6) as pool,
    ):
        waiting = [pool.submit(_fetch_one_by_jgo, jar, Path(repository), folder) for jar in jars]
        try:
            for done, one in enumerate(as_completed(waiting), start=1):
                progress(f"  {done}/{len(jars)} {one.result()}")
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch_one_by_jgo(jar: Jar, repository: Path, folder: Path) -> str:
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415  # optional
    except ImportError as error:
        raise ConfigurationError(
            "There is neither Maven (mvn) nor the Python package jgo to fetch Kafka.",
            "Install one of them: pip install '.[local]' in a clone brings jgo.",
        ) from error
    group, artifact, version = jar.coordinate.split(":")
    # A repository of its own for each: jgo does not say that it may be shared by threads.
    context = MavenContext(resolver=PythonResolver(), repo_cache=repository / jar.file_name)
    try:
        path = context.project(group, artifact).at_version(version).artifact().resolve()
    except Exception as error:  # jgo lets requests' and urllib's errors through
        raise ConfigurationError(
            f"Kafka's {jar.file_name} could not be fetched: {error}.", _NEXT_STEP
        ) from error
    shutil.copyfile(path, folder / jar.file_name)
    return jar.file_name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
