"""Where events go that the gateway refused for good: `refused.db`, for a person to look at.

    sqlite3 refused.db "SELECT key, code, path, detail, value FROM refused"

All processes of a spool share the file, which is written seldom.
"""

import logging
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from afterword._errors import RefusedError
from afterword._fork_gate import fork_gate
from afterword._identity import new_id
from afterword._spool.queue_file import PAGE_BYTES, Row, is_damage

_log = logging.getLogger("afterword")

REFUSED: Final = "refused.db"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS refused (
    spool TEXT, id INTEGER, key TEXT, value TEXT, headers TEXT, timestamp_ms INTEGER,
    refused_at_ms INTEGER, code TEXT, path TEXT, detail TEXT,
    PRIMARY KEY (spool, id)
)
"""
_INSERT: Final = """
INSERT OR REPLACE INTO refused
(spool, id, key, value, headers, timestamp_ms, refused_at_ms, code, path, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def keep_refused(root: Path, row: Row, error: RefusedError, *, limit_bytes: int) -> None:
    """Write a row down with the reason; twice the same row is once. A damaged file is set aside.

    Raises:
        sqlite3.Error: The disk, or the limit, has no room for it.
        OSError: Likewise.
    """
    try:
        _keep(root, row, error, limit_bytes)
    except sqlite3.Error as damage:
        if not is_damage(damage):
            raise
        _set_aside(root, damage)
        _keep(root, row, error, limit_bytes)


def _set_aside(root: Path, damage: sqlite3.Error) -> None:
    aside = root / f"refused-{new_id()}.damaged"
    (root / REFUSED).rename(aside)
    with suppress(FileNotFoundError):  # or it would be played back into the new file
        (root / f"{REFUSED}-journal").rename(root / f"{aside.name}-journal")
    _log.error("%s is damaged (%s) and was moved to %s", root / REFUSED, damage, aside)


def _keep(root: Path, row: Row, error: RefusedError, limit_bytes: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    place = (row.file.folder.name, row.id)
    (root / REFUSED).touch(mode=0o600)  # the folder may be somebody else's making
    with fork_gate.draining, closing(sqlite3.connect(root / REFUSED, isolation_level=None)) as db:
        db.execute(f"PRAGMA max_page_count = {max(1, limit_bytes // PAGE_BYTES)}")
        db.execute(_SCHEMA)
        db.execute(_INSERT, (*place, *row[2:], now_ms, error.code, error.path, error.detail))
