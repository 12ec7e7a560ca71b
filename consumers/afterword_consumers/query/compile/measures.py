"""What ClickHouse computes for each type of value; `answer.columns` adds intervals and tests.

    boolean, thumbs   n, how many are true, and the shares
    number            n, sum, avg, deviation, min, max, median, p95, p98, p99
    text              each value with its count and share
    weighted          the weighted mean, and the sums that its error is made of

Percentiles are exact, and those of `numpy.percentile` but for the last digit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST: Final = 1
"""What `side` is for the first of two groups that are compared."""

SECOND: Final = 2

_LEVELS: Final = "(0.5, 0.95, 0.98, 0.99)"
_PERCENTILES: Final = ("median", "p95", "p98", "p99")


class SeriesType(StrEnum):
    """What one series of an answer is about."""

    BOOLEAN = "boolean"
    NUMBER = "number"
    TEXT = "text"
    THUMBS = "thumbs"
    WEIGHTED = "weighted"
    PAIRS = "pairs"
    COUNT = "count"


_MERGED_BY: Final = {
    "count": "sum",
    "countIf": "sum",
    "sum": "sum",
    "sumIf": "sum",
    "min": "min",
    "max": "max",
}
"""Functions whose results can be joined as they are: ClickHouse compiles these, and no states."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate function over the rows of a group, in ClickHouse's terms.

    Attributes:
        name: What its result is called.
        function: `quantilesExactInclusive`.
        argument: What it runs over; empty for `count`.
        parameters: `(0.5, 0.95)`, or empty.
        elements: What the elements are called, where its result is an array.
    """

    name: str
    function: str
    argument: str = "measure"
    parameters: str = ""
    elements: tuple[str, ...] = ()

    def whole(self) -> list[str]:
        """Return the SQL of the columns that compute it in one step."""
        return self._columns(f"{self.function}{self.parameters}({self.argument})")

    def part(self) -> str:
        """Return the SQL of a part that `merge` joins with others without loss."""
        state = "" if self.function in _MERGED_BY else "State"
        return f"{self.function}{state}{self.parameters}({self.argument}) AS {self.name}_part"

    def merge(self) -> list[str]:
        """Return the SQL of the columns that join parts."""
        function = _MERGED_BY.get(self.function, f"{self.function}Merge")
        return self._columns(f"{function}{self.parameters}({self.name}_part)")

    def _columns(self, sql: str) -> list[str]:
        if not self.elements:
            return [f"{sql} AS {self.name}"]
        arrays = [f"({sql} AS {self.name})", *[self.name] * (len(self.elements) - 1)]
        return [
            f"{array}[{at}] AS {element}"
            for at, (array, element) in enumerate(zip(arrays, self.elements, strict=True), start=1)
        ]


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column that is made of aggregates.

    Attributes:
        name: Which.
        sql: How, from their names.
    """

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class AggregationPlan:
    """What a statement computes.

    Attributes:
        aggregates: Over the rows of each group.
        columns: Made of these.
    """

    aggregates: tuple[Aggregate, ...]
    columns: tuple[OutputColumn, ...] = ()


SHARES: Final[Mapping[SeriesType, tuple[str, str]]] = {
    SeriesType.BOOLEAN: ("true", "false"),
    SeriesType.THUMBS: ("up", "down"),
}
"""What the two values of a type are called."""

_N: Final = Aggregate("n", "count", argument="")
_SIDES: Final = (("first", FIRST), ("second", SECOND))


def plan_aggregation(kind: SeriesType, *, approximate: bool = False) -> AggregationPlan:
    """Return what is computed of a type; of a text, each value is a group by itself."""
    match kind:
        case SeriesType.NUMBER:
            return _number(approximate=approximate)
        case SeriesType.BOOLEAN | SeriesType.THUMBS:
            part, rest = SHARES[kind]
            columns = (
                OutputColumn(f"{part}_percent", "100 * trues / n"),
                OutputColumn(f"{rest}_percent", "100 * (n - trues) / n"),
            )
            return AggregationPlan((_N, Aggregate("trues", "countIf")), columns)
        case SeriesType.WEIGHTED:
            mean = OutputColumn("weighted_avg", "wx / nullIf(w, 0)")
            return AggregationPlan((_N, *_weighted_sums()), (mean,))
        case SeriesType.TEXT | SeriesType.PAIRS:
            return AggregationPlan((_N,), (OutputColumn("percent", "100 * n / of"),))
        case SeriesType.COUNT:
            return AggregationPlan((_N,))


def plan_comparison(kind: SeriesType) -> AggregationPlan:
    """Return what is computed of a type on each side, from columns `measure` and `side`."""
    match kind:
        case SeriesType.NUMBER:
            # What many sums of rounded numbers lose would be taken for a difference.
            functions = (("sum", "sumKahanIf"), ("deviation", "stddevSampStableIf"))
            parts = [
                Aggregate(f"{name}_{side}", function, f"measure, side = {number}")
                for side, number in _SIDES
                for name, function in functions
            ]
            columns = _on_both_sides("avg", "sum_{0} / n_{0}")
        case SeriesType.BOOLEAN | SeriesType.THUMBS:
            columns = _on_both_sides(f"{SHARES[kind][0]}_percent", "100 * trues_{0} / n_{0}")
            parts = [
                Aggregate(f"trues_{side}", "countIf", f"measure AND side = {number}")
                for side, number in _SIDES
            ]
        case SeriesType.WEIGHTED:
            parts = [each for side, at in _SIDES for each in _weighted_sums(f"_{side}", at)]
            columns = _on_both_sides("weighted_avg", "wx_{0} / nullIf(w_{0}, 0)")
        case _:
            parts = []
            columns = _on_both_sides("percent", "100 * n_{0} / of_{0}")
    counts = [Aggregate(f"n_{side}", "countIf", f"side = {number}") for side, number in _SIDES]
    return AggregationPlan((_N, *counts, *parts), columns)


def _on_both_sides(name: str, sql: str) -> tuple[OutputColumn, ...]:
    return tuple(OutputColumn(f"{name}_{side}", sql.format(side)) for side, _ in _SIDES)


def _number(*, approximate: bool) -> AggregationPlan:
    # Counts by the first 16 bits of a 32-bit float: exact in rank, and cut off below 1 / 128 of the value.
    quantiles = "quantilesBFloat16" if approximate else "quantilesExactInclusive"
    aggregates = (
        _N,
        Aggregate("sum", "sum"),
        Aggregate("deviation", "stddevSampStable"),
        Aggregate("min", "min"),
        Aggregate("max", "max"),
        Aggregate("percentiles", quantiles, parameters=_LEVELS, elements=_PERCENTILES),
    )
    return AggregationPlan(aggregates, (OutputColumn("avg", "sum / n"),))


def _weighted_sums(suffix: str = "", side: int | None = None) -> tuple[Aggregate, ...]:
    """Return what `statistics.intervals.WeightedSums` holds.

    Args:
        suffix: What the names of all end in.
        side: Which rows are summed up; None for all.
    """
    sums = {
        "w": "measure_weight",
        "wx": "measure_weight * measure",
        "ww": "pow(measure_weight, 2)",
        "wwx": "pow(measure_weight, 2) * measure",
        "wwxx": "pow(measure_weight * measure, 2)",
    }
    function, only, also = ("sum", "", "")
    if side is not None:
        function, only, also = ("sumIf", f", side = {side}", f" AND side = {side}")
    return (
        Aggregate(f"counted{suffix}", "countIf", f"measure_weight > 0{also}"),
        *(Aggregate(f"{name}{suffix}", function, f"{sql}{only}") for name, sql in sums.items()),
    )
