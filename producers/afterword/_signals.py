"""Implicit signals: what people do with an answer, as events with a value and a weight.

>>> from afterword._signals import REGENERATED
>>> REGENERATED.value, REGENERATED.weight
(-1, 0.2)

The values fit thumbs of +1 and -1, so that said and done average on one scale; a scale of your
own wants values of your own. The weights are below an explicit vote's 1.0, because a deed has
more than one reading: it takes at least four of them to outweigh one vote. Portkey's advice for a
regenerate, a weak negative, is where the order of the weights comes from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Signal:
    """What an implicit signal counts for, unless the call says otherwise.

    Attributes:
        value: As in an event, on a scale from -1 to 1.
        weight: As in an event.
    """

    value: int
    weight: float


COPIED: Final = Signal(value=1, weight=0.3)
"""The answer was worth taking along, if only to complain about it elsewhere."""

REGENERATED: Final = Signal(value=-1, weight=0.2)
"""Another answer was wanted: the weakest, because some only want to see what else comes."""

EDITED: Final = Signal(value=0, weight=0.3)
"""The answer was worth the work of correcting it, but was not right as it stood."""


def build_signal(
    signal: Signal, said: dict[str, object], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Complete the fields of an implicit event; what the caller gave goes before the defaults.

    Args:
        signal: Default value and weight.
        said: What goes into `feedback` beside what the caller put there.
        fields: The caller's fields.
    """
    extra = fields.get("feedback")
    built = {"source": "implicit", "value": signal.value, "weight": signal.weight, **fields}
    if extra is None:
        built["feedback"] = said
    elif isinstance(extra, dict):
        built["feedback"] = {**said, **extra}
    return built  # a feedback that is no dict is left for the event's own check to refuse


def without_none(**entries: object) -> dict[str, object]:
    """Return the entries that say something."""
    return {name: entry for name, entry in entries.items() if entry is not None}
