"""How far intervals and p-values in SQL are off the exact ones, as QUERIES.md says it; SciPy knows those."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest
from scipy import stats

from afterword_consumers.query import Database, SeriesType
from afterword_consumers.query.compile.comparing import comparing_recipe
from afterword_consumers.query.compile.intervals import t_quantile, wilson
from afterword_consumers.query.compile.welch import difference, welch

_PAGE: Final = (Path(__file__).parents[3] / "consumers" / "QUERIES.md").read_text(encoding="utf-8")
_COUNTS: Final = [*range(2, 200), 1000, 100_000]


@pytest.mark.parametrize(
    ("counts", "share"),
    [((2, 5), "0.0001 %"), ((6, 6), "0.02 %"), ((7, 9), "0.005 %"), ((10, None), "0.001 %")],
)
def test_students_interval_is_as_wide_as_the_page_says(
    analytics: Database, counts: tuple[int, int | None], share: str
) -> None:
    """Half its width is a quantile of t: of few observations from a table, then from an expansion."""
    least, most = counts
    asked = [n for n in _COUNTS if n >= least and (most is None or n <= most)]
    sql = f"SELECT {t_quantile('n - 1')} FROM (SELECT arrayJoin({asked}) AS n)"
    found = np.array([row[0] for row in analytics.query(sql, {}, {}).rows], dtype=float)
    exact = stats.t.ppf(0.975, np.array(asked) - 1)
    assert max(abs(found / exact - 1)) < float(share.removesuffix(" %")) / 100
    span = f"{least} and more" if most is None else f"{least} to {most}" if most > least else least
    assert f"| averages, of {span} values | {share}" in _PAGE


def test_wilsons_interval_is_exact(analytics: Database) -> None:
    """Both ends, at the edges too."""
    shares = [(k, n) for n in (1, 2, 7, 30, 1000) for k in range(0, n + 1, max(1, n // 7))]
    low, high = wilson("x.1", "x.2")
    sql = f"SELECT {low}, {high} FROM (SELECT arrayJoin({shares}) AS x)"
    found = [cell for row in analytics.query(sql, {}, {}).rows for cell in row]
    exact = [stats.binomtest(k, n).proportion_ci(method="wilson") for k, n in shares]
    assert found == pytest.approx([100 * end for each in exact for end in each], abs=1e-9)


def test_welchs_comparison_is_as_close_as_the_page_says(analytics: Database) -> None:
    """Over sides of 2 to 80 values whose spreads differ by up to a hundred times."""
    draw = np.random.default_rng(34)
    sides = [
        (*map(int, draw.integers(2, 80, 2)), *map(float, np.exp(draw.normal(0, 1.5, 2))), float(draw.normal(0, 3)))
        for _ in range(500)
    ]  # fmt: skip
    low, high, p = welch(("x.1", "0", "x.3"), ("x.2", "x.5", "x.4"))
    sql = f"""SELECT {difference("0", "x.5")} AS difference, {low}, {high}, {p}
        FROM (SELECT arrayJoin({sides}) AS x)"""
    for (n, m, deviation, spread, mean), row in zip(
        sides, analytics.query(sql, {}, {}).rows, strict=True
    ):
        test = stats.ttest_ind_from_stats(mean, spread, m, 0, deviation, n, equal_var=False)
        first, second = deviation**2 / n, spread**2 / m
        freedom = (first + second) ** 2 / (first**2 / (n - 1) + second**2 / (m - 1))
        half = stats.t.ppf(0.975, freedom) * np.sqrt(first + second)
        assert row[1:3] == pytest.approx((mean - half, mean + half), abs=3e-5 * half)
        assert row[3] == pytest.approx(test.pvalue, abs=1e-7)
    assert "| differences of averages | 0.003 %" in _PAGE
    assert "p-values of averages are right to 0.0000001" in _PAGE


def test_the_test_of_shares_is_exact(analytics: Database) -> None:
    """The N - 1 chi-squared test is Pearson's, by the N - 1 that Campbell advises."""
    tables = [(1, 9, 7, 3), (30, 70, 45, 55), (2, 998, 15, 985), (5, 5, 5, 5)]
    (p,) = (
        each.sql
        for each in comparing_recipe(SeriesType.BOOLEAN, ("a", "b")).columns
        if each.column.name == "p_value"
    )
    names = "x.1 AS trues_first, x.1 + x.2 AS n_first, x.3 AS trues_second, x.3 + x.4 AS n_second"
    sql = f"SELECT {p} FROM (SELECT {names} FROM (SELECT arrayJoin({tables}) AS x))"
    found = [row[0] for row in analytics.query(sql, {}, {}).rows]
    exact = []
    for a, b, c, d in tables:
        pearson = stats.chi2_contingency([[a, b], [c, d]], correction=False).statistic
        total = a + b + c + d
        exact.append(stats.chi2.sf(pearson * (total - 1) / total, 1))
    assert found == pytest.approx(exact, abs=1e-12)
