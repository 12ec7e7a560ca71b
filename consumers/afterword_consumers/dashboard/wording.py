"""Numbers, differences and times as people read them: the rules that every page keeps.

    number(28_472)              28.5 k
    percent(58.3)               58.3 %
    difference(-23.9, "points") −23.9 points
    day(datetime)               28 Nov

None is an en dash: what is missing is neither 0 nor empty.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

MISSING: Final = "–"
_SPACE: Final = "\N{NO-BREAK SPACE}"
_SHORT_FROM: Final = 10_000
_MILLION: Final = 1_000_000
_MONTHS: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]
_DAYS: Final = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def number(count: float | None) -> str:
    r"""Return a count; from ten thousand on in thousands or millions.

    >>> number(8417), number(28472), number(1_234_567), number(None)
    ('8,417', '28.5\xa0k', '1.2\xa0M', '–')
    """
    if count is None:
        return MISSING
    if abs(count) < _SHORT_FROM:
        return _sign(f"{count:,.0f}")
    scale, unit = (_MILLION, "M") if abs(count) >= _MILLION else (1000, "k")
    return _sign(f"{count / scale:,.1f}{_SPACE}{unit}")


def whole(count: float | None) -> str:
    """Return a count in full.

    >>> whole(28472)
    '28,472'
    """
    return MISSING if count is None else _sign(f"{count:,.0f}")


def percent(share: float | None) -> str:
    r"""Return a percentage with one decimal.

    >>> percent(58.333)
    '58.3\xa0%'
    """
    return MISSING if share is None else _sign(f"{share:.1f}{_SPACE}%")


def score(value: float | None) -> str:
    """Return a number in a measure's own unit: two decimals, from a thousand on none.

    >>> score(-1.613), score(1234.5)
    ('−1.61', '1,234')
    """
    if value is None:
        return MISSING
    return _sign(f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}")  # noqa: PLR2004


def decimal(value: float | None, digits: int) -> str:
    """Return a number with so many decimals.

    >>> decimal(836.068, 1)
    '836.1'
    """
    return MISSING if value is None else _sign(f"{value:,.{digits}f}")


def points(apart: float) -> str:
    """Return how many percentage points, for a sentence: rounded, and below ten to a tenth.

    >>> points(23.9), points(3.46), points(1.0)
    ('24 points', '3.5 points', '1 point')
    """
    text = f"{apart:.0f}" if apart >= 9.95 else f"{apart:.1f}".removesuffix(".0")  # noqa: PLR2004
    return f"{text} point{'' if text == '1' else 's'}"


def difference(value: float | None, unit: str = "", digits: int = 1) -> str:
    r"""Return a difference with its sign.

    >>> difference(-23.94, "points"), difference(0.4, digits=2), difference(-0.04)
    ('−23.9\xa0points', '+0.40', '0.0')
    """
    if value is None:
        return MISSING
    text = f"{value:+,.{digits}f}"
    if not text.strip("+-0.,"):
        text = text[1:]
    return _sign(text) + (f"{_SPACE}{unit}" if unit else "")


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """Return both ends.

    >>> interval(-26.01, 21.66), interval(None, None)
    ('−26.0 … 21.7', '–')
    """
    if low is None or high is None:
        return MISSING
    return _sign(f"{low:,.{digits}f} … {high:,.{digits}f}")


def p_value(p: float | None) -> str:
    """Return a probability; never 0.

    >>> p_value(0.00004), p_value(0.0312), p_value(None)
    ('< 0.001', '0.031', '–')
    """
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004


def size(count: int) -> str:
    r"""Return a number of bytes.

    >>> size(118), size(1_234)
    ('118\xa0B', '1.2\xa0kB')
    """
    if count < 1000:  # noqa: PLR2004
        return f"{count}{_SPACE}B"
    scale, unit = (_MILLION, "MB") if count >= _MILLION else (1000, "kB")
    return f"{count / scale:,.1f}{_SPACE}{unit}"


def day(at: datetime, *, weekday: bool = False, year: bool = False) -> str:
    """Return a date.

    >>> day(datetime(2026, 11, 30)), day(datetime(2026, 11, 30), weekday=True, year=True)
    ('30 Nov', 'Mon 30 Nov 2026')
    """
    name = f"{_DAYS[at.weekday()]} " if weekday else ""
    return f"{name}{at.day} {_MONTHS[at.month - 1]}" + (f" {at.year}" if year else "")


def days(first: datetime, last: datetime) -> str:
    """Return a period by its first and last day.

    >>> days(datetime(2026, 11, 16), datetime(2026, 11, 29)), days(datetime(2026, 10, 30), datetime(2026, 11, 2))
    ('16 – 29 Nov', '30 Oct – 2 Nov')
    """
    if first.date() == last.date():
        return day(first)
    same_month = (first.year, first.month) == (last.year, last.month)
    return f"{first.day if same_month else day(first)} – {day(last)}"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was, up to a day; then the date and time.

    >>> now = datetime(2026, 11, 30, 9, 41, tzinfo=UTC)
    >>> ago(now - timedelta(minutes=12), now), ago(now - timedelta(days=2), now)
    ('12 min ago', '28 Nov, 09:41')
    """
    age_s = (now - at).total_seconds()
    if age_s < 1:
        return "now"
    for limit, scale, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if age_s < limit:
            return f"{int(age_s // scale)} {unit} ago"
    year = f" {at.year}" if at.year != now.year else ""
    return f"{day(at)}{year}, {at:%H:%M}"


def exact(at: datetime) -> str:
    """Return a time to the second, with its zone.

    >>> exact(datetime(2026, 11, 30, 9, 41, 12, tzinfo=UTC))
    '2026-11-30 09:41:12 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def from_ms(milliseconds: int) -> datetime:
    """Return the time of so many milliseconds since 1970, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _sign(text: str) -> str:
    """Write the real minus."""
    return text.replace("-", "−")
