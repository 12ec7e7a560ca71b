"""The outer part of a statement: aggregate the selected rows by bucket, group and value.

Only the largest groups are shown, and the rest as one called "other". Percentiles of several groups
cannot be made from theirs, so each group is aggregated to *parts* that can be joined, the groups are ranked
by how many rows they have, and the parts of those past the top are merged: exact, and in one reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afterword_consumers.query.compile.measures import Recipe

OTHER: Final = "other"
"""The name of what lies past the top; told from a group of that name by its column `other_…`."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something by which rows are told apart, and of which only the top is shown.

    Attributes:
        name: `group` or `value`.
        keys: The selected columns that make it.
        outputs: The columns of the answer, and the SQL of what each shows, from the keys.
    """

    name: str
    keys: tuple[str, ...]
    outputs: Mapping[str, str]

    @property
    def folded(self) -> str:
        """The column that says how many of these a row stands for: 0 for one shown by itself."""
        return f"other_{self.name}s"


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows and columns of an answer.

    Attributes:
        bucket: The SQL that writes `bucket_start`; None without buckets.
        dimensions: None, groups, values, or groups and values.
        totals: Counts over all values in the same bucket and group: their names, and what they sum.
        recipe: What is aggregated.
    """

    bucket: str | None
    dimensions: tuple[Dimension, ...]
    totals: Mapping[str, str]
    recipe: Recipe

    @property
    def bucket_keys(self) -> list[str]:
        """The column that tells buckets apart, if there are any."""
        return [] if self.bucket is None else ["bucket_start"]


def aggregate(selected: str, layout: Layout, *, top: str) -> str:
    """Return the whole statement.

    Args:
        selected: The query of the rows.
        layout: What to make of them.
        top: The placeholder of how many groups and values are shown; unused without dimensions.
    """
    steps = {"selected": selected}
    if layout.dimensions:
        steps |= _ranked(layout)
        steps["stats"] = _merged(layout, top)
    else:
        steps["stats"] = _plain(layout)
    source = "stats"
    if layout.totals:
        steps["shares"] = _shares(layout)
        source = "shares"
    ctes = ",\n".join(f"{name} AS (\n{_indent(sql)}\n)" for name, sql in steps.items())
    return f"WITH {ctes}\n{_final(layout, source)}"


def _plain(layout: Layout) -> str:
    columns = [*layout.bucket_keys, *(each.whole() for each in layout.recipe.aggregates)]
    return _query(columns, "selected", group_by=layout.bucket_keys)


def _ranked(layout: Layout) -> dict[str, str]:
    """Return the steps from rows to the parts of each combination, with the ranks of its keys."""
    keys = [*layout.bucket_keys, *(key for each in layout.dimensions for key in each.keys)]
    parts = [each.part() for each in layout.recipe.aggregates]
    sizes = [
        f"sum(n_part) OVER (PARTITION BY {', '.join(each.keys)}) AS {each.name}_size"
        for each in layout.dimensions
    ]
    ranks = [
        f"dense_rank() OVER (ORDER BY {each.name}_size DESC, {', '.join(each.keys)})"
        f" AS {each.name}_rank"
        for each in layout.dimensions
    ]
    return {
        "parts": _query([*keys, *parts], "selected", group_by=keys),
        "sized": _query(["*", *sizes], "parts"),
        "ranked": _query(["*", *ranks], "sized"),
    }


def _merged(layout: Layout, top: str) -> str:
    columns = [*layout.bucket_keys]
    for each in layout.dimensions:
        place = f"{each.name}_place"
        columns.append(f"least({each.name}_rank, {top} + 1) AS {place}")
        columns += [
            f"if({place} > {top}, '{OTHER}', any({shown})) AS {output}_shown"
            for output, shown in each.outputs.items()
        ]
        columns.append(f"if({place} > {top}, uniqExact({each.name}_rank), 0) AS {each.folded}")
    columns += [each.merge() for each in layout.recipe.aggregates]
    return _query(columns, "ranked", group_by=_places(layout))


def _shares(layout: Layout) -> str:
    """Return the step that adds to each value the count of all values beside it."""
    beside = [key for key in _places(layout) if key != "value_place"]
    window = f"PARTITION BY {', '.join(beside)}" if beside else ""
    totals = (f"sum({each}) OVER ({window}) AS {name}" for name, each in layout.totals.items())
    return _query(["*", *totals], "stats")


def _final(layout: Layout, source: str) -> str:
    columns = [] if layout.bucket is None else [f"{layout.bucket} AS bucket"]
    for each in layout.dimensions:
        columns += [f"{output}_shown AS {output}" for output in each.outputs]
        columns.append(each.folded)
    columns += [
        name if (name := each.column.name) == each.sql else f"{each.sql} AS {name}"
        for each in layout.recipe.columns
    ]
    order = f"\nORDER BY {', '.join(keys)}" if (keys := _places(layout)) else ""
    # Without groups ClickHouse makes a row of nothing; no rows at all is our "no data".
    return f"{_query(columns, source)}\nWHERE n > 0{order}"


def _places(layout: Layout) -> list[str]:
    return [*layout.bucket_keys, *(f"{each.name}_place" for each in layout.dimensions)]


def _query(columns: list[str], source: str, *, group_by: list[str] | None = None) -> str:
    listed = ",\n".join(columns)
    lines = [f"SELECT\n{_indent(listed)}", f"FROM {source}"]
    if group_by:
        lines.append(f"GROUP BY {', '.join(group_by)}")
    return "\n".join(lines)


def _indent(sql: str) -> str:
    return "\n".join(f"    {line}" for line in sql.splitlines())
