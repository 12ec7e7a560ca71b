"""A number and what it counts, as a person reads it.

counted(1, "message waits", "messages wait")      # 1 message waits
"""


def counted(number: int, one: str, more: str = "") -> str:
    """Return a number with its noun, in the form that goes with it.

    Args:
        number: How many.
        one: The noun for 1, perhaps with its verb.
        more: The same for any other number; `one` and an s where it is empty.

    >>> counted(1, "message"), counted(0, "message"), counted(2_000, "message")
    ('1 message', '0 messages', '2,000 messages')
    """
    return f"{number:,} {one if number == 1 else more or one + 's'}"
