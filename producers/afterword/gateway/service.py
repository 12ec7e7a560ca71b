"""What the routes of the gateway share: admit, read, judge, publish, answer.

gateway = gateway_of(request)
access = gateway.admit(request, Scope.WRITE)
async with gateway.reading(request) as raw:
    outcome = await gateway.take(judge(raw, gateway.rules(request, access)))
return outcome.response()
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from starlette.requests import Request

from afterword._identity import now
from afterword._transport import Transport
from afterword.gateway.auth.access import Access, admit
from afterword.gateway.auth.key_file import KeyFile, Scope
from afterword.gateway.auth.rate_limit import RateLimiter
from afterword.gateway.http.bodies import BodyLimits, BodyMemory, read_body
from afterword.gateway.http.executor import BoundedExecutor
from afterword.gateway.http.headers import headers_of
from afterword.gateway.http.metrics import Metrics
from afterword.gateway.http.readiness import Readiness
from afterword.gateway.http.responses import ItemError, Outcome, RequestError, undelivered
from afterword.gateway.intake import Item, Rules
from afterword.gateway.publisher import Publisher
from afterword.gateway.receipts import Receipts
from afterword_schemas.patterns import is_project, read_traceparent

_MEBIBYTE: Final = 1024 * 1024
_JSON: Final = "application/json"
_SMALL_BYTES: Final = 16 * 1024
_FEW_COMMAS: Final = 300
"""What a small body holds at most: a thousand events without a word take as long as one of many words."""
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How a gateway behaves.

    Attributes:
        project: Of events that name none, where no keys are configured.
        body: What one body may hold, and how slowly it may come.
        memory_bytes: What all bodies may hold at one time.
        delivery_timeout_s: How long a request waits for Kafka.
    """

    project: str = "default"
    body: BodyLimits = field(default_factory=BodyLimits)
    memory_bytes: int = 256 * _MEBIBYTE
    delivery_timeout_s: float = 10.0


class Gateway:
    """The parts behind the routes.

    Args:
        transport: Carries accepted events; the app closes it when it ends.
        keys: Who may do what.
        receipts: Looks up what became of an event.
        ready: Raises `AfterwordError` while events could not be published; called in a thread.
        options: Limits and defaults.
        collect: Lets the transport report deliveries, where it has no thread for that.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        keys: KeyFile,
        receipts: Receipts,
        ready: Callable[[], None],
        options: GatewayOptions,
        collect: Callable[[], None] | None = None,
    ) -> None:
        self.transport = transport
        self.keys = keys
        self.receipts = receipts
        self.readiness = Readiness(ready)
        self.options = options
        self.metrics = Metrics()
        self.rates = RateLimiter()
        self.lookups = BoundedExecutor("receipts", threads=4, max_jobs=32)
        # What may wait is bounded by the memory of bodies.
        self._judging = BoundedExecutor("judge", threads=1, max_jobs=2_000)
        self._memory = BodyMemory(options.memory_bytes)
        # Apart, for whoever holds it up needs no key.
        self._public_memory = BodyMemory(options.memory_bytes // 8)
        self._public_judging = BoundedExecutor("beacon", threads=1, max_jobs=2_000)
        self._publisher = Publisher(transport, options.delivery_timeout_s, collect)

    def admit(self, request: Request, scope: Scope) -> Access:
        """Return what a request may do; `RequestError` 401 or 403."""
        return admit(request, self.keys, scope)

    def project(self, request: Request, access: Access) -> str:
        """Return the project of what names none: the key's, else the one in the query.

        Raises:
            RequestError: 400 where the query names what is no project, 403 where it names another
                than the key's.
        """
        asked = request.query_params.get("project") if request.scope["query_string"] else None
        if asked is None:
            return access.project or self.options.project
        if not is_project(asked):
            detail = "project takes 1 to 64 of A-Z a-z 0-9 . _ -"
            raise RequestError(400, "invalid_format", detail)
        if access.project not in {None, asked}:
            raise RequestError(403, "forbidden", "The key is bound to another project.")
        return asked

    @asynccontextmanager
    async def reading(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of a request, counted as memory in use until the block ends.

        Raises:
            RequestError: As for `read_body`.
        """
        with self._memory.share() as take:
            yield await read_body(request, self.options.body, take)

    @asynccontextmanager
    async def reading_from_anyone(
        self, request: Request, limits: BodyLimits
    ) -> AsyncIterator[bytes]:
        """Give the body of a request that has shown no key yet; not expanded, from memory of its own.

        Raises:
            RequestError: As for `read_body`, and 415 for a compressed body.
        """
        if headers_of(request).get("content-encoding", "identity") != "identity":
            detail = "No Content-Encoding here."
            raise RequestError(415, "unsupported_encoding", detail, {"accept-encoding": "identity"})
        with self._public_memory.share() as take:
            yield await read_body(request, limits, take)

    async def work(self, raw: bytes, job: Callable[[], _Made]) -> _Made:
        """Do what takes its time over a body: a small one's at once, large ones' one after the other.

        A large body's thread lets the event loop answer others, and what it was parsed into is
        gone when the next one's turn comes.
        """
        return job() if _is_small(raw) else await self._judging.run(job)

    async def work_for_anyone(self, raw: bytes, job: Callable[[], _Made]) -> _Made:
        """Do the same for a body of `reading_from_anyone`, in the way of no other."""
        return job() if _is_small(raw) else await self._public_judging.run(job)

    def rules(self, request: Request, access: Access, **fixed: str) -> Rules:
        """Return what a request makes of its events.

        Args:
            request: Its `traceparent` is handed on where it is one.
            access: Its key fixes the project.
            **fixed: Further fields that an event of it can have only so.
        """
        context = read_traceparent(headers_of(request).get("traceparent", ""))
        return Rules(
            received_at=now(),
            fixed={**access.fixed, **fixed},
            defaults={"project": self.project(request, access)},
            traceparent=context.header if context else None,
        )

    async def accept(
        self, raw: bytes, judge: Callable[[bytes], Iterable[Item | ItemError]]
    ) -> Outcome:
        """Judge what a body holds, publish what is good of it, and return what became of all."""
        return await self.take(await self.work(raw, lambda: list(judge(raw))))

    async def take(self, judged: Sequence[Item | ItemError]) -> Outcome:
        """Publish what was judged good, and return what became of all."""
        items = [one for one in judged if isinstance(one, Item)]
        errors = [one for one in judged if isinstance(one, ItemError)]
        errors += await self._publish(items)
        for code, count in Counter(error.code for error in errors).items():
            self.metrics.events.labels(code).inc(count)
        self.metrics.events.labels("accepted").inc(len(judged) - len(errors))
        ids = [one.feedback_id if isinstance(one, Item) else None for one in judged]
        return Outcome(ids, sorted(errors, key=_index))

    def close(self) -> None:
        """End the threads."""
        self.lookups.close()
        self._judging.close()
        self._public_judging.close()

    async def _publish(self, items: list[Item]) -> list[ItemError]:
        begin_s = time.perf_counter()
        reports = await self._publisher.publish(items)
        if items:
            self.metrics.delivery.observe(time.perf_counter() - begin_s)
        return [
            undelivered(item.index, item.own_id or item.feedback_id, report)
            for item, report in zip(items, reports, strict=True)
            if report is not None
        ]


def gateway_of(request: Request) -> Gateway:
    """Return the gateway whose app got a request."""
    return cast("Gateway", request.app.state.gateway)


def require_json(request: Request) -> None:
    """Refuse what a web page of any origin may send without asking first, and what is not JSON."""
    kind = headers_of(request).get("content-type", _JSON).partition(";")[0].strip().lower()
    if kind != _JSON and not kind.endswith("+json"):
        detail = "Content-Type takes application/json; curl sends it with --json."
        raise RequestError(415, "unsupported_media_type", detail, {"accept-post": _JSON})


def _is_small(raw: bytes) -> bool:
    return len(raw) <= _SMALL_BYTES and raw.count(b",") <= _FEW_COMMAS


def _index(error: ItemError) -> int:
    return -1 if error.index is None else error.index
