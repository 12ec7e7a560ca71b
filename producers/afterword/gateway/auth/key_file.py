"""The keys of the gateway: a file that holds no secrets, followed while the gateway runs.

    keys = KeyFile(Path("afterword.keys.json"))
    secret, key = keys.create("support-bot", [Scope.WRITE])
    keys.find(secret)                                   # the key, until it is revoked

A secret reads `aw_secret_<id>_<43 characters>`, and `aw_publish_…` for a publish key, so that a scanner
for leaked secrets can tell them. The file has its SHA-256. A fast hash is right here, other than for
passwords: what it hides is 256 bits from the kernel, and no number of guesses a second comes near that.

A file that breaks or vanishes changes nothing in a gateway that runs: the keys it knew stay in
force, and it never goes back to serving everybody.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256
from hmac import compare_digest
from math import inf
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    with_config,
)

from afterword._identity import now
from afterword.gateway.auth.folder_lock import sole_writer
from afterword.gateway.auth.key import CheckedKey, Key, Scope, first_fault, new_key
from afterword_schemas.atomic_file import replace_file
from afterword_schemas.errors import ConfigurationError
from afterword_schemas.flatten import json_path

__all__ = ["Key", "KeyFile", "Scope"]

_LOOK_EVERY_S: Final = 0.5
_SECRET_PARTS: Final = 4  # aw, kind, id, and the random characters, which may hold a _ themselves
_NOBODY: Final = ("0" * 64, None)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    key: CheckedKey
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _check_ids(entries: tuple[_Entry, ...]) -> tuple[_Entry, ...]:
    if len({entry.key.key_id for entry in entries}) < len(entries):
        raise ValueError("two keys have the same key_id")
    return entries


@with_config(extra="forbid")  # of the keys in it, too
@dataclass(frozen=True, slots=True)
class _Document:
    keys: Annotated[tuple[_Entry, ...], AfterValidator(_check_ids)]


_DOCUMENT: Final = TypeAdapter(_Document)


class KeyFile:
    """The keys of one file; for one thread, such as an event loop.

    Args:
        path: The file. Where there is none, no keys are configured. It may be a symbolic link, into a
            mounted secret for instance.
        clock: Seconds that never go back.

    Raises:
        ConfigurationError: There is a file, but it cannot be read, or holds something else.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._entries: tuple[_Entry, ...] = ()
        self._live: Mapping[str, tuple[str, Key | None]] = {}
        self._origins = frozenset[str]()
        self._look_at = clock() + _LOOK_EVERY_S
        self._stamp = _stamp(path)
        self._trouble = ""
        self._configured = self._stamp is not None
        if self._configured:
            self._adopt(_read(path))

    @property
    def configured(self) -> bool:
        """Whether there is a file, or was one at any time since the start."""
        self._follow()
        return self._configured

    def find(self, secret: str) -> Key | None:
        """Return the live key of a secret; one comparison, also for an id that nobody has."""
        self._follow()
        digest, key = self._live.get(_id_in(secret), _NOBODY)
        return key if compare_digest(digest, _hash(secret)) else None

    def origins(self) -> frozenset[str]:
        """Return the origins of all live publish keys."""
        self._follow()
        return self._origins

    def list(self) -> tuple[Key, ...]:
        """Return all keys, revoked ones too, in the order in which they were made."""
        self._follow()
        return tuple(entry.key for entry in self._entries)

    def create(
        self,
        project: str,
        scopes: Iterable[Scope],
        *,
        origins: Iterable[str] = (),
        events_per_minute: int | None = None,
        note: str = "",
    ) -> tuple[str, Key]:
        """Add a key to the file, made if need be, and return its secret, which is kept nowhere.

        Args: as for `new_key`.

        Raises:
            ConfigurationError: The arguments do not fit, or the file cannot be written.
        """
        key = new_key(
            project, scopes, origins=origins, events_per_minute=events_per_minute, note=note
        )
        kind = "publish" if Scope.PUBLISH in key.scopes else "secret"
        secret = f"aw_{kind}_{key.key_id}_{secrets.token_urlsafe(32)}"
        with _changing(self._path) as entries:
            entries.append(_Entry(key, _hash(secret)))
        self._look_at = -inf
        return secret, key

    def revoke(self, key_id: str) -> Key:
        """End a key for good; one that was revoked before keeps its time.

        Args:
            key_id: Its id, or the whole secret: that is what one has of a key that leaked.

        Raises:
            ConfigurationError: There is no such key, or the file cannot be written.
        """
        key_id = _id_in(key_id) or key_id
        with _changing(self._path) as entries:
            at = _position(key_id, entries)
            key = entries[at].key
            key = replace(key, revoked_at=key.revoked_at or now())
            entries[at] = replace(entries[at], key=key)
        self._look_at = -inf
        return key

    def _follow(self) -> None:
        if (time_s := self._clock()) < self._look_at:
            return
        self._look_at = time_s + _LOOK_EVERY_S
        if (stamp := _stamp(self._path)) == self._stamp:
            return
        self._configured = True
        try:
            self._adopt(_read(self._path))
        except ConfigurationError as error:
            # Read again until it can be, or a revocation might be missed for ever.
            if str(error) != self._trouble:
                _log.error("%s The keys of before stay in force.", error)
            self._trouble = str(error)
        else:
            self._stamp, self._trouble = stamp, ""

    def _adopt(self, entries: tuple[_Entry, ...]) -> None:
        self._entries = entries
        live = [entry for entry in entries if entry.key.revoked_at is None]
        self._live = {entry.key.key_id: (entry.sha256, entry.key) for entry in live}
        self._origins = frozenset(origin for entry in live for origin in entry.key.origins)


@contextmanager
def _changing(path: Path) -> Iterator[list[_Entry]]:
    """Give the entries of the file as it is now, and write them back at the end of the block."""
    file = path.resolve()  # a link stays one
    try:
        with sole_writer(file):
            entries = [] if _stamp(file) is None else list(_read(file))
            yield entries
            document = _Document(tuple(entries))
            content = _DOCUMENT.dump_json(document, indent=2) + b"\n"
            replace_file(file, content, mode=0o600, keep_owner=True)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None


def _read(path: Path) -> tuple[_Entry, ...]:
    try:
        return _DOCUMENT.validate_json(path.read_bytes()).keys
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        at = json_path([*error.errors(include_url=False, include_input=False)[0]["loc"]])
        raise ConfigurationError(
            f"{path} is not a file of keys: {first_fault(error)} [at {at}]."
        ) from None


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes with a file's content, through links; None where nothing has the name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return () if path.is_symlink() else None
    except OSError:
        return ()  # it is there, and reading it says what is wrong
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _position(key_id: str, entries: Sequence[_Entry]) -> int:
    ids = [entry.key.key_id for entry in entries]
    if key_id in ids:
        return ids.index(key_id)
    near = " or ".join(get_close_matches(key_id, ids, cutoff=0.5))
    hint = f"Did you mean {near}?" if near else "See `afterword keys list`."
    raise ConfigurationError(f"There is no key {key_id}.", hint)


def _id_in(secret: str) -> str:
    parts = secret.split("_", _SECRET_PARTS - 1)
    return parts[2] if len(parts) == _SECRET_PARTS else ""


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
