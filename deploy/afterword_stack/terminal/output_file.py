"""Write what a person named as the place of an answer: a file, whole or not at all, a pipe, or stdout.

with open_whole("feedback.csv") as file: file.write(b"…")
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from afterword_schemas import ConfigurationError
from afterword_schemas.atomic_file import replacing
from afterword_stack.errors import CommandError
from afterword_stack.terminal.console import writing_to_stdout


@contextmanager
def open_whole(file: str) -> Iterator[BinaryIO]:
    """Give a file to write; `-` is stdout, and what is no regular file is written to as it is.

    Raises:
        ConfigurationError: It cannot be written there.
        CommandError: It could not be written to its end.
    """
    if file == "-":
        with writing_to_stdout():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    path = Path(file).resolve()  # a link stays one
    is_special = path.exists() and not path.is_file()  # a pipe or a device
    opening = _opening(path) if is_special else replacing(path)
    with _written(file), ExitStack() as stack:
        yield _enter(stack, opening, file)


@contextmanager
def _written(file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"{file} could not be written: {error.strerror}") from error


@contextmanager
def _opening(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as target:
        yield target


def _enter(stack: ExitStack, opening: AbstractContextManager[BinaryIO], file: str) -> BinaryIO:
    try:
        return stack.enter_context(opening)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from None
