"""Intervals are SciPy's and numpy's, over any samples; no engine is needed for that."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from afterword_consumers.query.statistics.intervals import (
    Mean,
    Share,
    WeightedSums,
    mean_interval,
    share_interval,
    t_p_value,
    t_quantile,
    weighted_interval,
)

_values = st.integers(-1000, 1000).map(lambda number: number / 8)
_votes = st.tuples(st.integers(-10, 10), st.sampled_from([0.0, 0.1, 0.25, 0.4, 1.0]))


@given(n=st.integers(1, 10**6), data=st.data())
def test_the_interval_of_a_share_is_wilsons(n: int, data: st.DataObject) -> None:
    """Both ends are SciPy's, also where all or none are of the part."""
    part = data.draw(st.integers(0, n) | st.sampled_from([0, n]))
    exact = stats.binomtest(part, n).proportion_ci(method="wilson")
    assert share_interval(Share(part, n)) == pytest.approx(
        (100 * exact.low, 100 * exact.high), rel=1e-9, abs=1e-9
    )


def test_a_share_of_all_or_none_meets_its_interval() -> None:
    """Without what rounding would leave."""
    none, every = share_interval(Share(0, 7)), share_interval(Share(7, 7))
    assert none is not None
    assert every is not None
    assert (none[0], every[1]) == (0, 100)
    assert share_interval(Share(0, 0)) is None


@given(values=st.lists(_values, min_size=2, max_size=200))
def test_the_interval_of_a_mean_is_students(values: list[float]) -> None:
    """Both ends are SciPy's, whatever the sample."""
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    error = deviation / math.sqrt(len(values))
    exact = stats.t.interval(0.95, len(values) - 1, mean, error) if error else (mean, mean)
    assert mean_interval(Mean(len(values), mean, deviation)) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    "mean",
    [
        Mean(0, math.nan, math.nan),
        Mean(1, 3.0, math.nan),
        Mean(2, math.inf, 1.0),
        Mean(2, 1e200, math.inf),
    ],
)
def test_a_mean_without_a_finite_deviation_has_no_interval(mean: Mean) -> None:
    """No value, one value, and what is beyond a float."""
    assert mean_interval(mean) is None


@given(freedom=st.floats(0.5, 1e9), t=st.floats(0, 50))
def test_students_t_is_scipys(freedom: float, t: float) -> None:
    """Quantile and p-value, for degrees of freedom that are whole or not."""
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-12)
    assert t_p_value(-t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-9)


@given(votes=st.lists(_votes, min_size=1, max_size=60))
def test_a_weighted_mean_is_numpys(votes: list[tuple[int, float]]) -> None:
    """Its error is that of a ratio of sums; votes without weight count for nothing."""
    values, weights = np.array(votes, dtype=float).T
    sums, counted = _sums(votes), int((weights > 0).sum())
    if not counted:
        assert (sums.mean, weighted_interval(sums)) == (None, None)
        return
    mean = float(np.average(values, weights=weights))
    assert sums.mean == pytest.approx(mean, abs=1e-9)
    if counted == 1:
        assert weighted_interval(sums) is None
        return
    squares = float((weights**2 * (values - mean) ** 2).sum()) / weights.sum() ** 2
    exact = stats.t.interval(
        0.95, counted - 1, mean, math.sqrt(squares * counted / (counted - 1)) or 1e-300
    )
    assert weighted_interval(sums) == pytest.approx(exact, abs=1e-5)


@given(values=st.lists(_values, min_size=2, max_size=60))
def test_equal_weights_have_the_interval_of_the_plain_mean(values: list[float]) -> None:
    """Whatever the weight that all have."""
    plain = Mean(len(values), float(np.mean(values)), float(np.std(values, ddof=1)))
    sums = _sums([(value, 0.25) for value in values])
    assert weighted_interval(sums) == pytest.approx(mean_interval(plain), rel=1e-6, abs=1e-4)


@pytest.mark.parametrize("weight", [0.1, 1 / 3, 1e-170])
def test_votes_that_agree_have_no_spread(weight: float) -> None:
    """What rounding leaves of a difference of sums is none; of hardly any weight nothing is told."""
    interval = weighted_interval(_sums([(10, weight)] * 50))
    assert interval is None if weight == 1e-170 else interval == pytest.approx((10, 10), abs=1e-12)


def test_scipy_is_imported_where_an_interval_of_a_mean_is_asked_for() -> None:
    """It takes half a second of processor time; a worker and a count do without, and without numpy."""
    code = (
        "import sys\n"
        "import afterword_consumers.query, afterword_consumers.ingest.worker\n"
        "from afterword_consumers.query.statistics.intervals import Share, share_interval\n"
        "share_interval(Share(1, 2))\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'numpy', 'scipy'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def _sums(votes: list[tuple[float, float]] | list[tuple[int, float]]) -> WeightedSums:
    """Sum up as ClickHouse does."""
    return WeightedSums(
        sum(w > 0 for _, w in votes),
        sum(w for _, w in votes),
        sum(w * x for x, w in votes),
        sum(w**2 for _, w in votes),
        sum(w**2 * x for x, w in votes),
        sum((w * x) ** 2 for x, w in votes),
    )
