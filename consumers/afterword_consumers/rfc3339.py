"""Times as everything here writes them for other programs: RFC 3339, UTC, milliseconds."""

from datetime import UTC, datetime


def rfc3339(time: datetime | int) -> str:
    """Write a time, cut off to milliseconds, so that it says no more than it was.

    Args:
        time: An aware time, or milliseconds since 1970.

    >>> rfc3339(1769851800125)
    '2026-01-31T09:30:00.125Z'
    """
    moment = datetime.fromtimestamp(time / 1000, UTC) if isinstance(time, int) else time
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
