"""The multipart form in which a client sends what is too long for a URL.

clickhouse-connect does so by itself with long parameters, as a list of thousands of ids.

    form_fields('multipart/form-data; boundary="b"', body)      # {"query": ..., "param_ids": ...}
"""

import re
from email.message import Message
from typing import Final

from afterword_stack.local.clickhouse_error import BAD_ARGUMENTS, NOT_IMPLEMENTED, ClickHouseError

_NAME: Final = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)
_FILE_NAME: Final = re.compile(rb"\bfilename=", re.IGNORECASE)


def is_form(content_type: str) -> bool:
    """Return whether a body of this type is such a form."""
    return content_type.lower().startswith("multipart/form-data")


def form_fields(content_type: str, body: bytes | bytearray) -> dict[str, str]:
    """Return the form's fields; bytes that are no UTF-8 come as surrogates.

    Raises:
        ClickHouseError: It is no form, or it holds a file: external tables are not supported.
    """
    header = Message()
    header["Content-Type"] = content_type
    delimiter = b"\r\n--" + (header.get_boundary() or "").encode()
    parts = (b"\r\n" + bytes(body)).split(delimiter)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):  # noqa: PLR2004  # before, and the end
        raise ClickHouseError.of(BAD_ARGUMENTS, "BAD_ARGUMENTS", "The form is not complete")
    return dict(_field(part) for part in parts[1:-1])


def _field(part: bytes) -> tuple[str, str]:
    head, _, value = part.partition(b"\r\n\r\n")
    name = _NAME.search(head)
    if name is None or _FILE_NAME.search(head):
        raise ClickHouseError.of(
            NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "External tables are not supported here"
        )
    return name[1].decode(errors="surrogateescape"), value.decode(errors="surrogateescape")
