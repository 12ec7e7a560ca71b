"""Receipts: what became of an event, as the gateway asks and answers it."""

from dataclasses import asdict
from typing import Any, Final, Protocol

from pydantic import TypeAdapter

from afterword_schemas.receipt import Receipt


class Receipts(Protocol):
    """Looks up what became of events; called from several threads at once."""

    def find(self, project: str, feedback_id: str) -> Receipt:
        """Return what is known of an event of a project, and nothing of another project's.

        Raises:
            StoreError: It cannot be looked up now.
        """


RECEIPT_SCHEMA: Final[dict[str, Any]] = TypeAdapter(Receipt).json_schema(
    ref_template="#/components/schemas/{model}"
)
"""JSON Schema of the answer."""


def receipt_answer(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as the gateway sends it: what is not known is left out."""
    return {name: value for name, value in asdict(receipt).items() if value is not None}
