"""The made-up feedback of `afterword up --sample`, which is in a project of its own.

remove_sample(clickhouse)
"""

from typing import Final

from afterword_consumers.clickhouse.client import ClickHouse

SAMPLE: Final = "afterword-sample"
"""The project."""

_TABLES: Final = ("feedback", "feedback_paths", "feedback_rejected")


def remove_sample(clickhouse: ClickHouse) -> int:
    """Delete all of it, and return how many rows of feedback there were.

    Raises:
        RetryableError: As for the connection.
    """
    ((count,),) = clickhouse.query(
        "SELECT count() FROM feedback WHERE project = {p:String}", {"p": SAMPLE}
    ).rows
    for table in _TABLES:
        clickhouse.command(
            f"ALTER TABLE {table} DELETE WHERE project = '{SAMPLE}' SETTINGS mutations_sync = 1"
        )
    return int(count or 0)
