"""Kafka's classes, loaded and linked once and kept in a file: a start takes half of the time.

    options = startup_options(java, jars, record, print_progress)     # ("-XX:AOTCache=….aot",)

Java calls it an ahead-of-time cache. It checks by itself that Java and the jars are those that the file
was made with; where they are not, it warns in the log and starts as without one.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from afterword_schemas.errors import ConfigurationError
from afterword_stack.local.jars import Progress
from afterword_stack.local.java import Java
from afterword_stack.local.lock import FileLock

MIN_JAVA_WITH_CACHE: Final = 25
_WAIT_S: Final = 180.0


def startup_options(
    java: Java, jars: Path, record: Callable[[str], None], progress: Progress
) -> tuple[str, ...]:
    """Return the options that make Java use the cache, made now if there is none; none without one.

    Args:
        java: Each release has a cache of its own.
        jars: Kafka's; the cache lies beside that folder.
        record: Starts and stops a broker with an option, at the end of which Java writes the file.
        progress: Is told that this takes a while.
    """
    if java.major < MIN_JAVA_WITH_CACHE:
        return ()
    cache = jars.with_name(f"{jars.name}-java-{_release_digest(java)}.aot")
    try:
        if not cache.exists():
            _make(cache, record, progress)
        # An empty one says that it could not be made here, so that no start tries again.
        return (f"-XX:AOTCache={cache}", "-Xlog:aot*=error") if cache.stat().st_size else ()
    except (ConfigurationError, OSError) as error:
        progress(f"  not this time: {error}")
        return ()


def _make(cache: Path, record: Callable[[str], None], progress: Progress) -> None:
    busy = ConfigurationError(f"Another process has been making {cache} for too long.")
    with FileLock(cache.with_suffix(".lock"), busy=busy, wait_s=_WAIT_S):
        if cache.exists():  # the process we waited for made it
            return
        progress("Preparing Kafka to start faster (once, about 10 s) ...")
        unfinished = cache.with_suffix(f".{os.getpid()}")
        try:
            record(f"-XX:AOTCacheOutput={unfinished}")
        except ConfigurationError:
            unfinished.unlink(missing_ok=True)
        if not unfinished.exists():
            unfinished.touch()
        unfinished.replace(cache)


def _release_digest(java: Java) -> str:
    """Tell Java's releases apart by the file that each JDK brings, else by where the program is."""
    release = java.path.resolve().parents[1] / "release"
    text = release.read_bytes() if release.exists() else str(java.path.resolve()).encode()
    return hashlib.sha256(text).hexdigest()[:12]
