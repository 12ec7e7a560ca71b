"""The outer part of a statement: aggregate the selected rows by bucket, group and value.

Only the largest groups are shown, and the rest as one called "other". Percentiles of several groups
cannot be made from theirs, so each group is aggregated to *parts* that can be joined, the groups are ranked
by how many rows they have, and the parts of those past the top are merged: exact, and in one reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afterword_consumers.query.compile.measures import AggregationPlan

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
        aggregation: What is computed.
    """

    bucket: str | None
    dimensions: tuple[Dimension, ...]
    totals: Mapping[str, str]
    aggregation: AggregationPlan

    @property
    def bucket_keys(self) -> list[str]:
        """The column that tells buckets apart, if there are any."""
        return [] if self.bucket is None else ["bucket_start"]

    @property
    def buckets(self) -> list[str]:
        """The column that shows them."""
        return [] if self.bucket is None else [f"{self.bucket} AS bucket"]


def aggregate(selected: str, layout: Layout, *, top: str) -> str:
    """Return the whole statement.

    Args:
        selected: The query of the rows.
        layout: What to make of them.
        top: The placeholder of how many groups and values are shown; unused without dimensions.
    """
    if not layout.dimensions:
        return _plain(selected, layout)
    steps = {"parts": _parts(selected, layout), "ranked": _ranked(layout)}
    ctes = ",\n".join(f"{name} AS {_nested(sql)}" for name, sql in steps.items())
    return f"WITH {ctes}\n{_merged(layout, top)}"


def _plain(selected: str, layout: Layout) -> str:
    columns = [
        *layout.buckets,
        *(sql for each in layout.aggregation.aggregates for sql in each.whole()),
        *_made_of_aggregates(layout),
    ]
    if keys := layout.bucket_keys:
        return _query(columns, _nested(selected), group_by=keys, order_by=keys)
    # Without groups ClickHouse makes a row of nothing; no rows at all is our "no data".
    return f"{_query(columns, _nested(selected))}\nHAVING n > 0"


def _parts(selected: str, layout: Layout) -> str:
    """Return the query from rows to the parts of each combination of keys."""
    keys = [*layout.bucket_keys, *(key for each in layout.dimensions for key in each.keys)]
    parts = [each.part() for each in layout.aggregation.aggregates]
    return _query([*keys, *parts], _nested(selected), group_by=keys)


def _ranked(layout: Layout) -> str:
    """Return the query that ranks groups, and values, by how many rows they have."""
    sizes = [
        f"sum(n_part) OVER (PARTITION BY {', '.join(each.keys)}) AS {each.name}_size"
        for each in layout.dimensions
    ]
    ranks = [
        f"dense_rank() OVER (ORDER BY {each.name}_size DESC, {', '.join(each.keys)})"
        f" AS {each.name}_rank"
        for each in layout.dimensions
    ]
    return _query(["*", *ranks], _nested(_query(["*", *sizes], "parts")))


def _merged(layout: Layout, top: str) -> str:
    """Return the query that shows the top, and joins the parts of all else."""
    columns, keys, order = layout.buckets, layout.bucket_keys, layout.bucket_keys
    for each in layout.dimensions:
        place = f"{each.name}_place"
        keys.append(f"least({each.name}_rank, {top} + 1) AS {place}")
        order.append(place)
        columns += [
            f"if({place} > {top}, '{OTHER}', any({shown})) AS {output}"
            for output, shown in each.outputs.items()
        ]
        columns.append(f"if({place} > {top}, uniqExact({each.name}_rank), 0) AS {each.folded}")
    columns += [sql for each in layout.aggregation.aggregates for sql in each.merge()]
    beside = [key for key in order if key != "value_place"]
    window = f"PARTITION BY {', '.join(beside)}" if beside else ""
    columns += [f"sum({each}) OVER ({window}) AS {name}" for name, each in layout.totals.items()]
    columns += _made_of_aggregates(layout)
    return _query(columns, "ranked", group_by=keys, order_by=order)


def _made_of_aggregates(layout: Layout) -> list[str]:
    return [f"{each.sql} AS {each.name}" for each in layout.aggregation.columns]


def _query(
    columns: list[str],
    source: str,
    *,
    group_by: list[str] | None = None,
    order_by: list[str] | None = None,
) -> str:
    listed = _indent(",\n".join(columns))
    lines = [f"SELECT\n{listed}", f"FROM {source}"]
    if group_by:
        lines.append(f"GROUP BY {', '.join(group_by)}")
    if order_by:
        lines.append(f"ORDER BY {', '.join(order_by)}")
    return "\n".join(lines)


def _nested(sql: str) -> str:
    return f"(\n{_indent(sql)}\n)"


def _indent(sql: str) -> str:
    return "\n".join(f"    {line}" for line in sql.splitlines())
