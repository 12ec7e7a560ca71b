"""What is measured of each type of value: the aggregates, and the columns made of them.

    boolean   n, true %, false %
    thumbs    n, up %, down %
    number    n, sum, avg, median, min, max, p95, p98, p99
    text      each value with its count and share
    weighted  the sum of value times weight by the sum of weights, and the count of each pair

Beside every share and mean stands its 95 % interval. Percentiles are those of `numpy.percentile`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from afterword_consumers.query.columns import Column, Kind
from afterword_consumers.query.compile.intervals import student, wilson
from afterword_consumers.query.compile.percentiles import LEVELS, MAX_SORTED, interpolated


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
        name: What later steps call its result.
        function: `quantilesExactInclusive`.
        argument: What it runs over; empty for `count`.
        parameters: `(0.5, 0.95)`, or empty.
        then: A function that the result is put through; empty for none.
    """

    name: str
    function: str
    argument: str = "measure"
    parameters: str = ""
    then: str = ""

    def whole(self) -> str:
        """Return the SQL that computes it in one step."""
        return self._named(f"{self.function}{self.parameters}({self.argument})")

    def part(self) -> str:
        """Return the SQL of a part that `merge` joins with others without loss."""
        state = "" if self.function in _MERGED_BY else "State"
        return f"{self.function}{state}{self.parameters}({self.argument}) AS {self.name}_part"

    def merge(self) -> str:
        """Return the SQL that joins parts."""
        function = _MERGED_BY.get(self.function, f"{self.function}Merge")
        return self._named(f"{function}{self.parameters}({self.name}_part)")

    def _named(self, sql: str) -> str:
        return f"{f'{self.then}({sql})' if self.then else sql} AS {self.name}"


@dataclass(frozen=True, slots=True)
class Measured:
    """A column of the answer and the SQL that makes it from the aggregates."""

    column: Column
    sql: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the series of one type is computed.

    Attributes:
        aggregates: Over the rows of each group.
        columns: From the aggregates.
    """

    aggregates: tuple[Aggregate, ...]
    columns: tuple[Measured, ...]


MIN_COMPARABLE: Final = 30
"""A rate or mean of fewer is marked as small: intervals hold, but what looks like a trend is chance.

From 30 on, the usual rule of thumb, the mean of most distributions is close to normal.
"""

_N: Final = Aggregate("n", "count", argument="")


def recipe(kind: SeriesType, *, approximate: bool = False) -> Recipe:
    """Return how a type is measured; of a text, each value is a group by itself."""
    match kind:
        case SeriesType.NUMBER:
            return _number(approximate=approximate)
        case SeriesType.BOOLEAN:
            return _boolean("true", "false")
        case SeriesType.THUMBS:
            return _boolean("up", "down")
        case SeriesType.WEIGHTED:
            return _weighted()
        case SeriesType.TEXT | SeriesType.PAIRS:
            return _values()
        case SeriesType.COUNT:
            return Recipe((_N,), (measured("n", Kind.COUNT, "n"),))


def _number(*, approximate: bool) -> Recipe:
    # Counts by the first 16 bits of a 32-bit float: exact in rank, and cut off below 1 / 128 of the value.
    sketch = (Aggregate("quantiles", "quantilesBFloat16", parameters=f"({LEVELS})"),)
    exact = (
        Aggregate("quantiles", "quantilesExactInclusive", parameters=f"({LEVELS})"),
        Aggregate("sorted", "groupArray", parameters=f"({MAX_SORTED})", then="arraySort"),
    )
    percentiles = "quantiles" if approximate else interpolated()
    aggregates = (
        _N,
        Aggregate("total", "sum"),
        Aggregate("deviation", "stddevSampStable"),
        Aggregate("lowest", "min"),
        Aggregate("highest", "max"),
        *(sketch if approximate else exact),
    )
    low, high = student("total / n", "deviation / sqrt(n)", "n")
    columns = (
        measured("n", Kind.COUNT, "n"),
        measured("sum", Kind.NUMBER, "total"),
        measured("avg", Kind.NUMBER, "total / n"),
        measured("avg_low", Kind.INTERVAL, low),
        measured("avg_high", Kind.INTERVAL, high),
        measured("median", Kind.NUMBER, f"({percentiles} AS percentiles)[1]"),
        measured("min", Kind.NUMBER, "lowest"),
        measured("max", Kind.NUMBER, "highest"),
        measured("p95", Kind.NUMBER, "percentiles[2]"),
        measured("p98", Kind.NUMBER, "percentiles[3]"),
        measured("p99", Kind.NUMBER, "percentiles[4]"),
        small("n"),
    )
    return Recipe(aggregates, columns)


def _boolean(true: str, false: str) -> Recipe:
    """Return the shares of the two values, by what they are called."""
    low, high = wilson("trues", "n")
    columns = (
        measured("n", Kind.COUNT, "n"),
        measured(f"{true}_percent", Kind.PERCENT, "100 * trues / n", f"{true} %"),
        measured(f"{true}_percent_low", Kind.INTERVAL, low, "low"),
        measured(f"{true}_percent_high", Kind.INTERVAL, high, "high"),
        measured(f"{false}_percent", Kind.PERCENT, "100 * (n - trues) / n", f"{false} %"),
        small("n"),
    )
    return Recipe((_N, Aggregate("trues", "countIf")), columns)


def _weighted() -> Recipe:
    """Return the weighted mean and its interval, that of a ratio of two sums."""
    low, high = student("wx / w", f"sqrt({squared_error()})", "counted")
    columns = (
        measured("n", Kind.COUNT, "n"),
        measured("weight_sum", Kind.NUMBER, "w", "sum of weights"),
        measured("weighted_avg", Kind.NUMBER, "if(w > 0, wx / w, NULL)", "weighted avg"),
        measured("weighted_avg_low", Kind.INTERVAL, low, "low"),
        measured("weighted_avg_high", Kind.INTERVAL, high, "high"),
        small("counted"),
    )
    return Recipe((_N, *weighted_sums()), columns)


def _values() -> Recipe:
    low, high = wilson("n", "of")
    columns = (
        measured("n", Kind.COUNT, "n"),
        measured("percent", Kind.PERCENT, "100 * n / of", "%"),
        measured("percent_low", Kind.INTERVAL, low, "low"),
        measured("percent_high", Kind.INTERVAL, high, "high"),
        small("of"),
    )
    return Recipe((_N,), columns)


def weighted_sums(suffix: str = "", where: str = "") -> tuple[Aggregate, ...]:
    """Return what a weighted mean and its error are made of.

    Args:
        suffix: What the names of all end in.
        where: Which rows are summed up; empty for all.
    """
    sums = {
        "w": "measure_weight",
        "wx": "measure_weight * measure",
        "ww": "pow(measure_weight, 2)",
        "wwx": "pow(measure_weight, 2) * measure",
        "wwxx": "pow(measure_weight * measure, 2)",
    }
    function, only, also = ("sumIf", f", {where}", f" AND {where}") if where else ("sum", "", "")
    return (
        Aggregate(f"counted{suffix}", "countIf", f"measure_weight > 0{also}"),
        *(Aggregate(f"{name}{suffix}", function, f"{sql}{only}") for name, sql in sums.items()),
    )


def squared_error(suffix: str = "") -> str:
    """Return the variance of a weighted mean, as of a ratio of two sums; from `weighted_sums`.

    It is n / (n - 1) * sum(w^2 (x - mean)^2) / sum(w)^2 over the n values of a weight above 0; with
    equal weights that of the plain mean.
    """
    n, w, wx, ww, wwx, wwxx = (
        f"{name}{suffix}" for name in ("counted", "w", "wx", "ww", "wwx", "wwxx")
    )
    mean = f"{wx} / {w}"
    # Where all values agree, the difference of the sums is what rounding has left of them.
    squares = f"({wwxx} - 2 * {mean} * {wwx} + pow({mean}, 2) * {ww} AS squares{suffix})"
    squares = f"if({squares} > 1e-12 * {wwxx}, squares{suffix}, 0)"
    return f"{n} / ({n} - 1) * {squares} / pow({w}, 2)"


def measured(name: str, kind: Kind, sql: str, label: str = "") -> Measured:
    """Return a column; called like its name where it has no label."""
    return Measured(Column(name, kind, label or name.replace("_", " ")), sql)


def small(n: str) -> Measured:
    """Return the mark of a row whose numbers come from too few observations to compare."""
    return measured("is_small", Kind.FLAG, f"toBool({n} < {MIN_COMPARABLE})", "few")
