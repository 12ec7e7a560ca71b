"""A receipt as JSON: what is known of the event and nothing else, in the shape that is published."""

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types

from afterword.gateway.receipts import RECEIPT_SCHEMA, receipt_answer
from afterword_schemas import Receipt, ReceiptStatus

ID = "019c12e9-8b3d-7000-8000-000000000001"
TIME = "2026-01-31T09:00:00.123Z"

ANSWERS = [
    (
        Receipt(ID, ReceiptStatus.UNKNOWN),
        {"feedback_id": ID, "status": "unknown", "unread": 0},
    ),
    (
        Receipt(ID, ReceiptStatus.STORED, updated_at=TIME, cleared=False),
        {
            "feedback_id": ID,
            "status": "stored",
            "updated_at": TIME,
            "cleared": False,
            "unread": 0,
        },
    ),
    (
        Receipt(
            ID, ReceiptStatus.REJECTED, code="no_target", path="$", place="1:7", detail="name one"
        ),
        {
            "feedback_id": ID,
            "status": "rejected",
            "code": "no_target",
            "path": "$",
            "place": "1:7",
            "detail": "name one",
            "unread": 0,
        },
    ),
]


@pytest.mark.parametrize(("receipt", "answer"), ANSWERS)
def test_an_answer_has_what_is_known(receipt: Receipt, answer: dict[str, object]) -> None:
    """What says nothing is left out, what says no or none is not."""
    assert receipt_answer(receipt) == answer
    Draft202012Validator(RECEIPT_SCHEMA).validate(answer)


def test_the_schema_stands_alone() -> None:
    """It goes into OpenAPI as it is; every field is described, and every status is named."""
    Draft202012Validator.check_schema(RECEIPT_SCHEMA)
    assert "$ref" not in str(RECEIPT_SCHEMA)
    assert all(field["description"] for field in RECEIPT_SCHEMA["properties"].values())
    assert RECEIPT_SCHEMA["properties"]["status"]["enum"] == [
        "stored",
        "pending",
        "rejected",
        "unknown",
    ]
