"""What a statement reads: the view of current feedback, or the table where promoted columns serve.

    source = Source(parameters, storage)
    source.value(field, Type.NUMBER)      # "numbers[{p0:String}]", or a promoted column
    source.table()                        # "feedback_current"

A path is a bound parameter, and a column comes from a closed list.
"""

from typing import Final

from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.storage import MAPS, UNKNOWN, Storage
from afterword_consumers.query.language.fields import RATING, THUMBS_UP, Field, Type

_COLUMN_SQL: Final = {
    Type.NUMBER: "toFloat64({})",
    Type.TEXT: "nullIf({}, '')",
    Type.TIME: "{}",
    Type.UUID: "{}",
}
_THUMBS_SQL: Final = "multiIf(source != 'explicit', NULL, value IS NULL, {rating}, value = 0, NULL, toBool(value > 0))"
"""As the view `feedback_current` has it."""


class Source:
    """What one statement reads; it notes which promoted columns serve.

    Args:
        parameters: Where paths are bound.
        storage: Where the values of paths are.
    """

    def __init__(self, parameters: Parameters, storage: Storage = UNKNOWN) -> None:
        self.parameters = parameters
        self.storage = storage
        self._columns: dict[str, None] = {}
        self._derived: dict[str, None] = {}

    def value(self, field: Field, kind: Type) -> str:
        """Return the expression for a field's value of one of its types, NULL where it is missing."""
        if field.column is None:
            held_in = MAPS[kind]
            path = self._promoted(held_in, field.name)
            return path or f"{held_in}[{self.parameters.text(field.name)}]"
        if field.is_thumbs:
            return self._thumbs()
        return _COLUMN_SQL[kind].format(field.column)

    def text(self, field: Field) -> str:
        """Return the expression for a field's value of whatever type as text, NULL where missing."""
        if field.is_thumbs:
            vote = self._thumbs()
            return f"multiIf({vote}, 'up', NOT {vote}, 'down', NULL)"
        if field.column is not None:
            return f"toString({self.value(field, field.types[0])})"
        texts = [
            value if kind == Type.TEXT else f"toString({value})"
            for kind in self.storage.types(field)
            for value in [self.value(field, kind)]
        ]
        return texts[0] if len(texts) == 1 else f"coalesce({', '.join(reversed(texts))})"

    def elements(self, field: Field, kind: Type) -> str:
        """Return the expression for the values under a wildcard path, as an array."""
        pattern = self.parameters.text(field.pattern)
        return f"mapValues(mapFilter((path, leaf) -> match(path, {pattern}), {MAPS[kind]}))"

    def table(self) -> str:
        """Return what stands behind FROM; call it after all that is read was named."""
        if not self._columns:
            return "feedback_current"
        # A view's columns are those of the day it was made, so promoted ones are read beside it.
        beside = ", ".join([*self._columns, *self._derived])
        return (
            f"(\n    SELECT * EXCEPT (is_deleted, version), {beside}\n"
            "    FROM feedback FINAL\n"
            "    SETTINGS do_not_merge_across_partitions_select_final = 1\n)"
        )

    def _promoted(self, held_in: str, path: str) -> str | None:
        column = self.storage.promoted.get((held_in, path))
        if column is not None:
            self._columns[column] = None
        return column

    def _thumbs(self) -> str:
        held_in = MAPS[Type.BOOLEAN]
        rating = self._promoted(held_in, RATING) or f"{held_in}['{RATING}']"
        self._derived[f"{_THUMBS_SQL.format(rating=rating)} AS {THUMBS_UP}"] = None
        return THUMBS_UP


def rfc3339_sql(column: str) -> str:
    """Return the expression that writes a column of times in RFC 3339, in UTC."""
    return f"concat(replaceOne(toString({column}), ' ', 'T'), 'Z')"
