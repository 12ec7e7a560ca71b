"""Confidence intervals at 95 % in SQL, from sums that ClickHouse merges exactly.

A share gets Wilson's score interval (E. B. Wilson, 1927), which stays within 0 and 100 and holds for
few and for extreme answers. A mean gets Student's t interval; ClickHouse has no quantile of t, so it
is a table up to 4 degrees of freedom and from there the Cornish-Fisher expansion around the normal
(Abramowitz and Stegun, 26.7.5), which is then right to 0.0003.
"""

from typing import Final

Z_95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def wilson(part: str, n: str) -> tuple[str, str]:
    """Return the low and high end of a share in percent, from SQL for the part and the total."""
    z2 = Z_95 * Z_95
    root = f"{Z_95} * sqrt({part} * ({n} - {part}) / {n} + {z2 / 4})"
    low = f"100 * (({part} + {z2 / 2} - {root}) / ({n} + {z2}))"
    high = f"100 * (({part} + {z2 / 2} + {root}) / ({n} + {z2}))"
    # At the ends they meet the share, but for rounding.
    return f"if({part} = 0, 0, {low})", f"if({part} = {n}, 100, {high})"


def student(mean: str, standard_error: str, n: str) -> tuple[str, str]:
    """Return the low and high end of a mean; NULL below two observations."""
    low = f"{mean} - ({t_quantile(f'{n} - 1')} AS t) * {standard_error}"
    high = f"{mean} + t * {standard_error}"
    return f"if({n} > 1, {low}, NULL)", f"if({n} > 1, {high}, NULL)"


def t_quantile(freedom: str) -> str:
    """Return the SQL of the 97.5 % quantile of Student's t, for 1 or more degrees of freedom."""
    few = f"[12.706205, 4.302653, 3.182446, 2.776445][{freedom}]"
    return f"if({freedom} > 4, {expanded_t_quantile(freedom)}, {few})"


def expanded_t_quantile(freedom: str) -> str:
    """Return the SQL of the expansion alone; below 5 degrees of freedom it is not right."""
    expansion = f"{Z_95}"
    for power, term in enumerate((2.372271, 2.822499, 2.555850, 1.589534), start=1):
        expansion += f" + {term} / pow({freedom}, {power})"
    return expansion
