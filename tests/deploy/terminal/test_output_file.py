"""A file that is written is there whole, or what was there before is."""

import errno
import os
import threading
from pathlib import Path

import pytest

from afterword_schemas import ConfigurationError
from afterword_stack.errors import CommandError
from afterword_stack.terminal.output_file import open_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """Until then the old one stands there, and afterwards nothing else does."""
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with open_whole(str(path)) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("end", [KeyboardInterrupt, CommandError, SystemExit])
def test_a_command_that_ends_early_leaves_the_old_file(
    tmp_path: Path, end: type[BaseException]
) -> None:
    """Ctrl-C, an error of the store, an exit: what was there stays, and no part lies about."""
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")

    def write() -> None:
        with open_whole(str(path)) as file:
            file.write(b"new")
            raise end("half way")

    with pytest.raises(end):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_of_ours(tmp_path: Path) -> None:
    """With the system's reason."""
    with (
        pytest.raises(CommandError, match=r"out\.csv could not be written: No space"),
        open_whole(str(tmp_path / "out.csv")),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/out.csv", ""])
def test_where_no_file_can_be_it_says_so(tmp_path: Path, name: str) -> None:
    """A folder that is not there, or one in place of the file: exit status 2."""
    with (
        pytest.raises(ConfigurationError, match="cannot be written"),
        open_whole(str(tmp_path / name)),
    ):
        pass


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    """What it is called on its way is shorter."""
    file = tmp_path / ("n" * 255)
    with open_whole(str(file)) as target:
        target.write(b"all")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"all"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file it leads to is replaced."""
    (tmp_path / "real.csv").write_bytes(b"old")
    link = tmp_path / "link.csv"
    link.symlink_to("real.csv")
    with open_whole(str(link)) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"new"


def test_a_device_that_is_full_is_an_error_of_ours() -> None:
    """Whether it shows while it is written or when it is closed."""
    for size in (1, 100_000):
        with (
            pytest.raises(CommandError, match="/dev/full could not be written: No space"),
            open_whole("/dev/full") as file,
        ):
            file.write(b"x" * size)


def test_a_pipe_whose_reader_leaves_is_an_error_of_ours(tmp_path: Path) -> None:
    """More than a pipe holds cannot be written then."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pipe.open("rb").close())
    reader.start()

    def write() -> None:
        with open_whole(str(pipe)) as file:
            reader.join()
            file.write(b"x" * 1_000_000)

    with pytest.raises(CommandError, match="could not be written: Broken pipe"):
        write()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """And not replaced by a file."""
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with open_whole(str(pipe)) as file:
        file.write(b"new")
    reader.join()
    assert read == [b"new"]
    assert pipe.is_fifo()
