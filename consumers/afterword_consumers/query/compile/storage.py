"""What is known of how paths are stored, so that a statement reads no more than it must.

    Storage(maps={"feedback.score": frozenset({"numbers"})}, promoted={})

A path of which nothing is known may be in any map: the answer is the same, after more reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the values of paths are.

    Attributes:
        maps: By path, as the user wrote it, the maps that may hold it.
        promoted: By map and path, the materialized column with the same values.
    """

    maps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    promoted: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def may_be_in(self, kept_in: str, path: str) -> bool:
        """Whether some feedback may have the path in a map."""
        return kept_in in self.maps.get(path, {kept_in})


UNKNOWN: Final = Storage()
"""Nothing is known: every path is looked for in every map."""
