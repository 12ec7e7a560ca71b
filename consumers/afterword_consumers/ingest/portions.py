"""What is written in one request, bounded by bytes.

for portion in portions(rejections, lambda rejection: rejection.size): ...
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

DEFAULT_PORTION_BYTES: Final = 16 * 1024 * 1024

_Item = TypeVar("_Item")


def portions(
    items: Iterable[_Item],
    size: Callable[[_Item], int],
    max_bytes: int = DEFAULT_PORTION_BYTES,
) -> Iterator[list[_Item]]:
    """Yield the items in their order, in lists that end with the item that fills them.

    >>> list(portions(["a", "bb", "cccc", "d"], len, max_bytes=3))
    [['a', 'bb'], ['cccc'], ['d']]
    """
    portion: list[_Item] = []
    held_bytes = 0
    for item in items:
        portion.append(item)
        held_bytes += size(item)
        if held_bytes >= max_bytes:
            yield portion
            portion, held_bytes = [], 0
    if portion:
        yield portion
