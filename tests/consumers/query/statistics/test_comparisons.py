"""Comparisons are SciPy's, and those of the papers that they come from; no engine is needed for that."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from afterword_consumers.query.statistics.comparisons import (
    Contrast,
    compare_means,
    compare_shares,
    compare_weighted,
    fewest_expected,
)
from afterword_consumers.query.statistics.intervals import Mean, Share, WeightedSums

_samples = st.lists(
    st.integers(-1000, 1000).map(lambda number: number / 8), min_size=2, max_size=100
)
_shares = st.integers(1, 2000).flatmap(lambda n: st.integers(0, n).map(lambda part: Share(part, n)))


@pytest.mark.filterwarnings("ignore:Precision loss occurred")  # SciPy's, of a side that agrees
@given(first=_samples, second=_samples)
def test_means_are_compared_as_welch_does(first: list[float], second: list[float]) -> None:
    """Difference, interval and p-value are SciPy's of the samples themselves."""
    assume(len(set(first)) > 1 or len(set(second)) > 1)
    contrast = compare_means(_mean(first), _mean(second))
    test = stats.ttest_ind(second, first, equal_var=False)
    exact = test.confidence_interval(0.95)
    assert contrast.difference == pytest.approx(np.mean(second) - np.mean(first), abs=1e-9)
    assert contrast.interval == pytest.approx((exact.low, exact.high), rel=1e-9, abs=1e-9)
    assert contrast.p_value == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)


@given(first=_shares, second=_shares)
def test_shares_are_tested_by_n_minus_1_chi_squared(first: Share, second: Share) -> None:
    """Pearson's, by the N - 1 that Campbell advises; none where all or none are of the part."""
    both, n = first.part + second.part, first.n + second.n
    contrast = compare_shares(first, second)
    if both in {0, n}:
        assert contrast.p_value is None
        return
    table = [[each.part, each.n - each.part] for each in (first, second)]
    result = stats.chi2_contingency(table, correction=False)
    p = stats.chi2.sf(result.statistic * (n - 1) / n, 1)
    assert contrast.p_value == pytest.approx(p, rel=1e-9, abs=1e-300)
    assert fewest_expected(first, second) == pytest.approx(np.min(result.expected_freq))


@given(first=_shares, second=_shares)
def test_a_difference_of_shares_lies_in_its_interval(first: Share, second: Share) -> None:
    """Named the other way round, everything changes sign; no end is beyond 100 points."""
    contrast, turned = compare_shares(first, second), compare_shares(second, first)
    assert contrast.difference is not None
    assert contrast.interval is not None
    low, high = contrast.interval
    assert -100 - 1e-9 <= low <= contrast.difference + 1e-9
    assert contrast.difference - 1e-9 <= high <= 100 + 1e-9
    assert turned.difference == pytest.approx(-contrast.difference)
    assert turned.interval == pytest.approx((-high, -low), abs=1e-9)
    assert turned.p_value == contrast.p_value


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        (Share(48, 80), Share(56, 70), (5.24, 33.39)),
        (Share(3, 10), Share(9, 10), (17.05, 80.90)),
        (Share(2, 7), Share(6, 7), (5.82, 80.62)),
        (Share(0, 29), Share(5, 56), (-3.81, 19.26)),
        (Share(0, 20), Share(0, 10), (-16.11, 27.75)),
        (Share(0, 10), Share(0, 10), (-27.75, 27.75)),
        (Share(0, 20), Share(10, 10), (67.91, 100)),
        (Share(0, 10), Share(10, 10), (60.75, 100)),
    ],
)
def test_newcombes_published_examples(
    first: Share, second: Share, ends: tuple[float, float]
) -> None:
    """Table II of the paper of 1998, method 10, to the digits that it prints."""
    assert compare_shares(first, second).interval == pytest.approx(ends, abs=0.0051)


@pytest.mark.parametrize(
    ("first", "second"),
    [(Share(0, 0), Share(1, 2)), (Share(1, 2), Share(0, 0)), (Share(0, 0), Share(0, 0))],
)
def test_an_empty_side_compares_as_nothing(first: Share, second: Share) -> None:
    """No difference, and no error."""
    assert compare_shares(first, second) == Contrast(None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Mean(40, 19.99, 0.0), Mean(40, 19.99, 0.0)),
        (Mean(40, 5.0, 0.0), Mean(40, 7.0, 0.0)),
        (Mean(1, 1.0, math.nan), Mean(2, 2.5, 0.7)),
        (Mean(2, 1.5e200, math.inf), Mean(2, 2e200, math.inf)),
        (Mean(3, math.inf, math.nan), Mean(3, -math.inf, math.nan)),
    ],
)
def test_without_spread_there_is_no_test(first: Mean, second: Mean) -> None:
    """What all agree on, one value, and what overflows."""
    contrast = compare_means(first, second)
    assert (contrast.interval, contrast.p_value) == (None, None)


def test_rounding_is_no_difference() -> None:
    """The means of many and of few times 0.1 differ in the last digit only."""
    contrast = compare_means(Mean(20_000, 0.1, 0.0), Mean(3, 0.1 + 1e-17, 0.0))
    assert contrast.difference == 0


def test_weighted_means_are_compared_by_the_normal_distribution() -> None:
    """Of two groups with known errors."""
    first = WeightedSums(2, 1.5, 4.0, 1.25, 3.0, 8.0)
    second = WeightedSums(2, 1.0, 6.5, 0.625, 3.875, 24.25)
    contrast = compare_weighted(first, second)
    difference = 6.5 - 4 / 1.5
    error = math.sqrt((first.squared_error or 0) + (second.squared_error or 0))
    assert contrast.difference == pytest.approx(difference)
    assert contrast.interval == pytest.approx(stats.norm.interval(0.95, difference, error))
    assert contrast.p_value == pytest.approx(2 * stats.norm.sf(difference / error))


def _mean(sample: list[float]) -> Mean:
    return Mean(len(sample), float(np.mean(sample)), float(np.std(sample, ddof=1)))
