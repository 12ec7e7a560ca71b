"""Times that clients make: capped where they lie ahead, refused where their unit is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_schemas import InvalidEventError, RejectCode
from afterword_schemas.limits import MAX_AHEAD_MS, MAX_TIME_MS, MIN_TIME_MS
from afterword_schemas.times import capped_ms, ns_to_ms

NOW_MS = 1_769_851_800_125


@pytest.mark.parametrize("ahead_ms", [-(10**12), -1, 0, 1, 300_000])
def test_a_time_up_to_five_minutes_ahead_stands(ahead_ms: int) -> None:
    """Clocks of two machines differ a little, and the order of what was said is kept."""
    assert capped_ms(NOW_MS + ahead_ms, NOW_MS) == NOW_MS + ahead_ms


@pytest.mark.parametrize("ahead_ms", [300_001, 86_400_000, 10**12])
def test_a_time_further_ahead_becomes_the_messages(ahead_ms: int) -> None:
    """A wrong clock decides nothing: the order is that of arrival."""
    assert capped_ms(NOW_MS + ahead_ms, NOW_MS) == NOW_MS


@given(st.integers(0, 2**63), st.integers(MIN_TIME_MS, MAX_TIME_MS - 1))
def test_capping_twice_is_capping_once(time_ms: int, message_ms: int) -> None:
    """What the SDK capped the worker leaves alone, and no time comes out more than the limit ahead."""
    once = capped_ms(time_ms, message_ms)
    assert capped_ms(once, message_ms) == once <= message_ms + MAX_AHEAD_MS


@pytest.mark.parametrize(
    ("time_ns", "seems"),
    [
        (1_769_851_800, "; this looks like seconds"),
        (1_769_851_800_125, "; this looks like milliseconds"),
        (1_769_851_800_125_000, "; this looks like microseconds"),
        (1_420_070_399_999_999_999, ""),
        (4_102_444_800_000_000_000, ""),
        (2**64 - 1, ""),
        (1, ""),
    ],
)
def test_a_time_of_another_unit_is_refused_by_its_name(time_ns: int, seems: str) -> None:
    """The developer reads which unit was sent, in place of a row in 1970 that no period finds."""
    with pytest.raises(InvalidEventError) as caught:
        ns_to_ms(time_ns, "endTimeUnixNano")
    error = caught.value
    assert (error.code, error.path) == (RejectCode.OUT_OF_RANGE, "$.endTimeUnixNano")
    assert error.detail == (
        f"endTimeUnixNano takes nanoseconds since 1970, of a time from 2015 to 2099{seems}"
    )


@pytest.mark.parametrize(
    ("time_ns", "ms"),
    [
        (1_769_851_800_125_999_999, 1_769_851_800_125),
        (1_420_070_400_000_000_000, MIN_TIME_MS),
        (4_102_444_799_999_999_999, MAX_TIME_MS - 1),
    ],
)
def test_nanoseconds_are_cut_off(time_ns: int, ms: int) -> None:
    """From 2015 to 2099, as an event's own times."""
    assert ns_to_ms(time_ns, "timeUnixNano") == ms
