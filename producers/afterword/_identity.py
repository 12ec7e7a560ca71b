"""Ids and times of events.

>>> enrichment_id("acme", "session", "s-7")
'84abf2bd-e7b2-57f7-8160-f385b3b5393b'
"""

import sys
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID, uuid5

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

ENRICHMENT_NAMESPACE: Final = UUID("5f8e6ac2-0e35-4c8f-9d53-1a3e6d1c7b42")
"""Namespace of the UUIDv5 under which all enrichments of one session or span meet."""


def new_id() -> str:
    """Mint a UUIDv7: unique across threads and forked processes, and in time order."""
    return str(uuid7())


def enrichment_id(project: str, kind: Literal["session", "span"], target: str) -> str:
    """Return the id of the one event that holds a session's or span's enrichments.

    The UUIDv5 of `project/kind/target` in `ENRICHMENT_NAMESPACE`; a project has no slash, so no
    two targets share a name.
    """
    return str(uuid5(ENRICHMENT_NAMESPACE, f"{project}/{kind}/{target}"))


def now() -> str:
    """Return the time as the event writes it: `2026-01-31T09:30:00.125Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
