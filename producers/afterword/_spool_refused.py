"""Where events go that the gateway refused for good: `refused.db`, for a person to look at.

    sqlite3 refused.db "SELECT key, code, path, detail, value FROM refused"

All processes of a spool share the file, which is written seldom.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from afterword._errors import RefusedError
from afterword._fork_gate import fork_gate
from afterword._spool_file import PAGE_BYTES
from afterword._spool_row import Row

REFUSED: Final = "refused.db"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS refused (
    spool TEXT, id INTEGER, key TEXT, value TEXT, headers TEXT, timestamp_ms INTEGER,
    refused_at_ms INTEGER, code TEXT, path TEXT, detail TEXT,
    PRIMARY KEY (spool, id)
)
"""
_INSERT: Final = "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def keep_refused(root: Path, row: Row, error: RefusedError, *, limit_bytes: int) -> None:
    """Write a row down with the reason; twice the same row is once.

    Raises:
        sqlite3.Error: The disk, or the limit, has no room for it.
        OSError: Likewise.
    """
    now_ms = time.time_ns() // 1_000_000
    place = (row.file.folder.name, row.id)
    (root / REFUSED).touch(mode=0o600)  # the folder may be somebody else's making
    with fork_gate.draining, closing(sqlite3.connect(root / REFUSED, isolation_level=None)) as db:
        db.execute(f"PRAGMA max_page_count = {max(1, limit_bytes // PAGE_BYTES)}")
        db.execute(_SCHEMA)
        db.execute(_INSERT, (*place, *row[2:], now_ms, error.code, error.path, error.detail))
