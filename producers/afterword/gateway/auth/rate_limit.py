"""How much each client may send: a token bucket for each, in bounded memory.

    limiter = RateLimiter()
    wait_s = limiter.take(f"{key.key_id} {client_network(address)}", len(events), 600)

A bucket holds a minute's worth, and fills up within a minute. One that is full is as good as none,
so it is forgotten. Where too many are not full, the one that would be full soonest is forgotten: it is worth
least to its owner. To have a spent bucket forgotten, one must spend as much from each of all the others first.
"""

import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import inf
from typing import Final

_SECOND_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _SECOND_NS


class RateLimiter:
    """Token buckets; for one thread, such as an event loop.

    Args:
        max_buckets: That are kept at once, at about 500 bytes each.
        clock: Nanoseconds that never go back.
    """

    def __init__(
        self, max_buckets: int = 65_536, *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._max_buckets, self._clock = max_buckets, clock
        # By name: what is spent and not refilled, in the unit of `take`; as of when; and the second in which
        # it is refilled. All integers, so that nothing is rounded away.
        self._buckets: dict[str, tuple[int, int, int]] = {}
        self._full_in: dict[int, set[str]] = {}
        self._swept_s = 0

    def take(self, bucket: str, events: int, events_per_minute: int) -> float:
        """Let events through, or say how long to wait; refused events cost nothing.

        Args:
            bucket: Whose they are.
            events: All of them or none.
            events_per_minute: At least 1; also what a full bucket holds.

        Returns:
            0.0 if they may go, else seconds after which they might. `inf` where that is never: they are
            more than a bucket holds, and must come in smaller batches.
        """
        now_ns = self._clock()
        self._forget_full(now_ns // _SECOND_NS)
        spent, since_ns, _ = self._buckets.get(bucket, (0, now_ns, 0))
        # In events times a minute of ns, so that a ns refills exactly events_per_minute of them.
        spent = max(0, spent - (now_ns - since_ns) * events_per_minute) + events * _MINUTE_NS
        over = spent - events_per_minute * _MINUTE_NS
        if over > 0:
            if events > events_per_minute:
                return inf
            return -(-over // events_per_minute) / _SECOND_NS
        if spent:
            full_ns = now_ns - (-spent // events_per_minute)
            self._keep(bucket, (spent, now_ns, full_ns // _SECOND_NS))
        return 0.0

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._buckets)

    def _keep(self, bucket: str, state: tuple[int, int, int]) -> None:
        if bucket in self._buckets:
            self._forget(bucket)
        elif len(self._buckets) >= self._max_buckets:
            self._forget_soonest_full()
        self._buckets[bucket] = state
        self._full_in.setdefault(state[2], set()).add(bucket)

    def _forget(self, bucket: str) -> None:
        _, _, second = self._buckets.pop(bucket)
        self._full_in[second].remove(bucket)
        if not self._full_in[second]:
            del self._full_in[second]

    def _forget_soonest_full(self) -> None:
        second = min(self._full_in)  # of the 62 that there are at the most
        del self._buckets[self._full_in[second].pop()]
        if not self._full_in[second]:
            del self._full_in[second]

    def _forget_full(self, now_s: int) -> None:
        if now_s == self._swept_s:
            return
        self._swept_s = now_s
        for second in [second for second in self._full_in if second < now_s]:
            for bucket in self._full_in.pop(second):
                del self._buckets[bucket]


def client_network(address: str) -> str:
    """Return what stands for one client: an IPv4 address, or the /64 that an IPv6 client chooses from.

    >>> client_network("::ffff:192.0.2.7"), client_network("2001:db8::1:2:3:4")
    ('192.0.2.7', '2001:db8::/64')

    Anything else, as what a Unix socket has for an address, is returned as it is.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), 64), strict=False))
