"""Receipts: what became of an event, as the gateway asks and answers it."""

from dataclasses import asdict
from typing import Any, Final, Protocol

from pydantic import TypeAdapter

from afterword_schemas.receipt import Receipt


class Receipts(Protocol):
    """Looks up what became of events; called from several threads at once."""

    def find(self, project: str, feedback_id: str) -> Receipt:
        """Return what is known of an event of a project, and nothing of another project's.

        Args:
            project: As an event names it.
            feedback_id: A UUID in lower case.

        Raises:
            AfterwordError: It cannot be looked up now.
        """


def receipt_answer(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as the gateway sends it: what is not known is left out."""
    return {name: value for name, value in asdict(receipt).items() if value is not None}


def _schema() -> dict[str, Any]:
    """Return the schema of the answer with nothing outside of it."""
    schema = TypeAdapter(Receipt).json_schema(mode="serialization")
    schema["properties"]["status"] |= schema.pop("$defs")["ReceiptStatus"]
    del schema["properties"]["status"]["$ref"]
    return schema


RECEIPT_SCHEMA: Final = _schema()
"""JSON Schema of the answer."""
