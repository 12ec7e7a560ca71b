"""Write a file that is there whole or not at all.

    with open_whole("feedback.csv") as file: file.write(b"…")

It is written under another name beside its own and renamed in the end, so that Ctrl-C, an error or a full
disk leaves what was there before.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from afterword_schemas import ConfigurationError, RetryableError
from afterword_stack.terminal.console import writing_to_stdout


@contextmanager
def open_whole(file: str) -> Iterator[BinaryIO]:
    """Give a file to write; `-` is stdout, and what is no regular file is written to as it is.

    Raises:
        ConfigurationError: It cannot be written there.
        RetryableError: It could not be written to its end.
    """
    if file == "-":
        with writing_to_stdout():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    path = Path(file).resolve()  # a link stays one
    if path.exists() and not path.is_file():  # a pipe or a device
        with _written(file), _open(file, path) as target:
            yield target
        return
    # Of another process that writes the same file at the same time, the last to end wins.
    name = sha256(path.name.encode()).hexdigest()[:16]  # its own may be as long as names can be
    part = path.with_name(f".{name}.{os.getpid()}.part")
    try:
        with _written(file):
            with _open(file, part) as target:
                yield target
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _written(file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RetryableError(f"{file} could not be written: {error.strerror}") from error


def _open(file: str, path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from None
