"""Rate limits: how much gets through in any stretch of time, and what an attacker's addresses cost."""

from math import ceil, inf
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.gateway.auth.key_file import Scope
from afterword.gateway.auth.rate_limit import RateLimiter, client_network

if TYPE_CHECKING:
    from httpx2 import Response
    from tests.producers.gateway.conftest import GatewayHarness

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND


class Clock:
    """Nanoseconds that pass when a test says so; as on a machine that runs for a while."""

    def __init__(self) -> None:
        self.now = 12_345_678_901_234

    def __call__(self) -> int:
        """Return them."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of a test."""
    return Clock()


def test_a_minutes_worth_may_come_at_once(clock: Clock) -> None:
    """Then a pause as long as the next one takes to come back, to the nanosecond."""
    limiter = RateLimiter(clock=clock)
    assert [limiter.take("a", 1, 7) for _ in range(7)] == [0.0] * 7
    wait_s = limiter.take("a", 1, 7)
    assert wait_s == pytest.approx(60 / 7)
    clock.now += ceil(wait_s * SECOND) - 1
    assert limiter.take("a", 1, 7) == 1e-9
    clock.now += 1
    assert limiter.take("a", 1, 7) == 0.0
    assert limiter.take("a", 1, 7) > 0


def test_a_pause_saves_no_more_than_a_bucket_holds(clock: Clock) -> None:
    """Also before a full bucket is forgotten, which happens once a second."""
    limiter = RateLimiter(clock=clock)
    clock.now = 100 * SECOND
    assert limiter.take("a", 1, 600) == 0.0
    clock.now += SECOND - 1
    assert limiter.take("a", 600, 600) == 0.0
    assert limiter.take("a", 1, 600) == 0.1


def test_events_of_a_request_go_together(clock: Clock) -> None:
    """All or none, and what was refused costs nothing."""
    limiter = RateLimiter(clock=clock)
    assert limiter.take("a", 40, 60) == 0.0
    assert limiter.take("a", 30, 60) == 10.0
    assert limiter.take("a", 30, 60) == 10.0
    assert limiter.take("a", 20, 60) == 0.0
    assert limiter.take("a", 1, 60) == 1.0


def test_more_than_a_bucket_holds_never_goes_through(clock: Clock) -> None:
    """However long one waits, so the wait has no end; smaller batches go."""
    limiter = RateLimiter(clock=clock)
    assert limiter.take("a", 61, 60) == inf
    assert limiter.take("a", 60, 60) == 0.0
    assert limiter.take("a", 61, 60) == inf


def test_each_bucket_is_its_own(clock: Clock) -> None:
    """One client that is refused is no reason to refuse another."""
    limiter = RateLimiter(clock=clock)
    assert limiter.take("a", 60, 60) == 0.0
    assert limiter.take("a", 1, 60) == 1.0
    assert limiter.take("b", 60, 60) == 0.0


def test_no_events_are_always_allowed(clock: Clock) -> None:
    """And leave no trace."""
    limiter = RateLimiter(clock=clock)
    assert limiter.take("a", 0, 1) == 0.0
    assert len(limiter) == 0
    assert limiter.take("a", 1, 1) == 0.0
    assert limiter.take("a", 0, 1) == 0.0


def test_a_limit_that_changes_holds_from_then_on(clock: Clock) -> None:
    """As when a key's limit is edited: what was sent stays sent."""
    limiter = RateLimiter(clock=clock)
    assert limiter.take("a", 100, 100) == 0.0
    assert limiter.take("a", 1, 200) == 0.0
    assert limiter.take("a", 1, 50) == pytest.approx(60 * 52 / 50)
    clock.now += MINUTE + 3 * SECOND
    assert limiter.take("a", 1, 50) == 0.0


Request = tuple[int, int]
"""Nanoseconds since the one before, and how many events."""

PAUSES = st.one_of(
    st.integers(0, 10),
    st.integers(0, 2 * SECOND),
    st.integers(0, 2 * MINUTE),
    st.just(SECOND),
    st.just(MINUTE),
)
REQUESTS = st.lists(st.tuples(PAUSES, st.integers(0, 25)), max_size=40)


@given(requests=REQUESTS, events_per_minute=st.integers(1, 20))
def test_no_stretch_of_time_lets_more_through_than_burst_and_rate(
    requests: list[Request], events_per_minute: int
) -> None:
    """Exactly, whatever the requests; and no wait is negative, or no number."""
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    passed: list[tuple[int, int]] = []
    for pause, events in requests:
        clock.now += pause
        wait_s = limiter.take("a", events, events_per_minute)
        assert wait_s >= 0.0
        assert (wait_s == inf) == (events > events_per_minute)
        if wait_s == 0.0:
            passed.append((clock.now, events))
    for first, (start, _) in enumerate(passed):
        through = 0
        for end, events in passed[first:]:
            through += events
            assert through * MINUTE <= events_per_minute * (MINUTE + end - start)


@given(requests=REQUESTS, events_per_minute=st.integers(1, 20), asked=st.integers(1, 20))
def test_a_client_that_waits_as_told_gets_through(
    requests: list[Request], events_per_minute: int, asked: int
) -> None:
    """And not a nanosecond earlier."""
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    for pause, events in requests:
        clock.now += pause
        limiter.take("a", events, events_per_minute)
    asked = min(asked, events_per_minute)
    wait_s = limiter.take("a", asked, events_per_minute)
    wait_ns = round(wait_s * SECOND)
    assert wait_ns <= MINUTE
    if wait_ns > 0:
        clock.now += wait_ns - 1
        assert limiter.take("a", asked, events_per_minute) == 1e-9
        clock.now += 1
        assert limiter.take("a", asked, events_per_minute) == 0.0


@given(
    requests=st.lists(st.tuples(PAUSES, st.integers(0, 6), st.integers(1, 20)), max_size=60),
    max_buckets=st.integers(1, 4),
)
def test_memory_is_bounded_whoever_comes(
    requests: list[tuple[int, int, int]], max_buckets: int
) -> None:
    """By the number given, and both records of a bucket go together."""
    clock = Clock()
    limiter = RateLimiter(max_buckets, clock=clock)
    for pause, name, events in requests:
        clock.now += pause
        limiter.take(str(name), events, 20)
        assert len(limiter) <= max_buckets
        named = [name for names in limiter._full_in.values() for name in names]
        assert sorted(named) == sorted(limiter._buckets)
        assert all(limiter._full_in.values())
        assert len(limiter._full_in) <= 62


def test_a_bucket_that_is_full_again_is_forgotten(clock: Clock) -> None:
    """So memory follows who is active now, not who ever was."""
    limiter = RateLimiter(clock=clock)
    for number in range(1_000):
        limiter.take(f"client {number}", 60, 60)
    assert len(limiter) == 1_000
    clock.now += MINUTE + SECOND
    limiter.take("another", 1, 60)
    assert len(limiter) == 1


def test_many_addresses_do_not_reset_a_spent_bucket(clock: Clock) -> None:
    """Light requests push out each other, not the one who has spent all."""
    limiter = RateLimiter(100, clock=clock)
    assert limiter.take("attacker", 60, 60) == 0.0
    for number in range(10_000):
        assert limiter.take(f"address {number}", 1, 60) == 0.0
    assert len(limiter) == 100
    assert limiter.take("attacker", 1, 60) == 1.0


def test_a_spent_bucket_is_forgotten_only_for_others_as_spent(clock: Clock) -> None:
    """The price of a reset is as many full bursts as there are buckets."""
    limiter = RateLimiter(100, clock=clock)
    limiter.take("attacker", 60, 60)
    clock.now += SECOND
    for number in range(99):
        limiter.take(f"address {number}", 60, 60)
    assert limiter.take("attacker", 2, 60) == 1.0
    limiter.take("one more", 60, 60)
    assert limiter.take("attacker", 2, 60) == 0.0


def test_the_machines_clock_is_the_usual_one() -> None:
    """Without a clock of the caller's, time passes by itself."""
    limiter = RateLimiter()
    assert limiter.take("a", 1_000_000_000, 1_000_000_000) == 0.0
    assert 0.0 <= limiter.take("a", 1, 1_000_000_000) < 1e-6


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_a_client_is_an_address_or_the_network_it_may_choose_from(
    address: str, client: str
) -> None:
    """One IPv6 subscriber has 2**64 addresses, which must not be as many buckets."""
    assert client_network(address) == client


def beacon(gateway: "GatewayHarness", secret: str, count: int) -> "Response":
    """Send events as a web page does."""
    events = [{"trace_id": f"tr-{number}", "value": 1} for number in range(count)]
    return gateway.http.post(
        "/v1/beacon",
        json={"key": secret, "events": events},
        headers={"origin": "https://app.example.com"},
    )


def publish_key(gateway: "GatewayHarness", events_per_minute: int) -> str:
    """Return the secret of a key with this limit."""
    secret, _ = gateway.keys.create(
        "acme",
        [Scope.PUBLISH],
        origins=["https://app.example.com"],
        events_per_minute=events_per_minute,
    )
    return secret


def test_a_page_that_sends_too_much_is_told_when_to_go_on(gateway: "GatewayHarness") -> None:
    """429 in whole seconds that suffice; nothing of the request is taken, and other keys are served."""
    secret, other = publish_key(gateway, 6), publish_key(gateway, 6)
    assert beacon(gateway, secret, 5).status_code == 200
    refused = beacon(gateway, secret, 2)
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["code"] == "too_many_requests"
    assert 10 <= int(refused.headers["retry-after"]) <= 11
    assert beacon(gateway, secret, 1).status_code == 200
    assert beacon(gateway, other, 6).status_code == 200
    assert len(gateway.transport.events) == 12


def test_a_batch_that_never_could_go_is_too_large(gateway: "GatewayHarness") -> None:
    """413, for no wait would help it; a smaller one goes."""
    secret = publish_key(gateway, 6)
    assert beacon(gateway, secret, 7).status_code == 413
    assert beacon(gateway, secret, 6).status_code == 200
