"""A file that is replaced is the old one or the new one, whole."""

import os
from pathlib import Path

import pytest

from afterword_schemas.atomic_file import replace_file, replacing


def test_a_file_is_replaced_when_its_block_ends(tmp_path: Path) -> None:
    """Until then the old one stands there, and afterwards nothing else does."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError, SystemExit])
def test_an_error_keeps_the_old_file(tmp_path: Path, end: type[BaseException]) -> None:
    """No part of the new one is left."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")

    def write() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise end

    with pytest.raises(end):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_bytes_are_on_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in between leaves the old file; the folder is synced last, or the name may be lost."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    synced = list[bytes]()
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(path.read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    replace_file(path, b"new")
    assert synced == [b"old", b"new"]


@pytest.mark.parametrize(("mode", "permissions"), [(0o666, 0o640), (0o600, 0o600)])
def test_a_new_file_has_the_mode_that_was_asked_for(
    tmp_path: Path, mode: int, permissions: int
) -> None:
    """Less the umask."""
    umask = os.umask(0o027)
    try:
        replace_file(tmp_path / "state.json", b"new", mode=mode)
    finally:
        os.umask(umask)
    assert (tmp_path / "state.json").stat().st_mode & 0o7777 == permissions


def test_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    """Who could not read it before still cannot."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    path.chmod(0o600)
    replace_file(path, b"new")
    assert path.stat().st_mode & 0o7777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_an_owner_that_cannot_be_kept_is_an_error_where_it_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of keys has to stay readable to its gateway; an export may become its writer's."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    os.chown(path, 12_345, 23_456)

    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PermissionError):
        replace_file(path, b"new", keep_owner=True)
    assert path.read_bytes() == b"old"
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
