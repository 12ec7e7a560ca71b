"""`/live`: tells a page that new feedback is there, as server-sent events.

    GET /live?project=acme&where=thumbs = down
    id: 7
    data: {"new": 3}

All who watch the same share one look a second. An event says how much came since the last one that its reader got, so
nothing piles up for a reader that is slow, and one that comes back with `Last-Event-ID` goes on where it was.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError, ErrorCode, of_question
from afterword_consumers.api.service import Api, api_of
from afterword_consumers.explore.live import Tail
from afterword_consumers.query import Plan, Question, QuestionError, parse
from afterword_consumers.query.language.question import COUNT

LOOK_EVERY_S: Final = 1.0
HEARTBEAT_S: Final = 15.0
MAX_READERS: Final = 200
MAX_WATCHES: Final = 20
"""Different filters that are watched at once: each costs a look a second."""


_PAUSES: Final = 4
"""How many times as long as a look is the pause behind it, at least."""

_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_Key = tuple[str | None, tuple[str, ...]]


class LiveUpdates:
    """Watches for all readers; for one event loop."""

    def __init__(self) -> None:
        self._watches: dict[_Key, _Watch] = {}
        self._readers = 0
        self._stopped = False
        self.routes = [Route("/live", self._answer, methods=["GET"])]

    def stop(self) -> None:
        """End all answers, which have no end by themselves."""
        self._stopped = True
        for watch in self._watches.values():
            watch.wake()

    async def _answer(self, request: Request) -> Response:
        api = api_of(request)
        asked = api.read(request, one=(), many=("where",))
        where = tuple(text for text in asked.arguments.texts("where") if text.strip())
        now = datetime.now(UTC)
        try:
            plan = parse(Question(COUNT, project=asked.project, where=where), now)
        except QuestionError as error:
            raise of_question(error) from error
        key = (asked.project, where)
        too_many = len(self._watches) >= MAX_WATCHES and key not in self._watches
        if too_many or self._readers >= MAX_READERS:
            raise ApiError(503, ErrorCode.BUSY, "Too many pages watch.", "Load the page again.")
        events = self._events(api, key, plan, _last(request))
        return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)

    async def _events(
        self, api: Api, key: _Key, plan: Plan, last: int | None
    ) -> AsyncIterator[str]:
        watch = self._watches.setdefault(key, _Watch(Tail(plan, datetime.now(UTC))))
        watch.readers += 1
        self._readers += 1
        try:
            watch.begin(api)
            # A number of before a restart, or of nobody, is no place to go on from.
            at = last if last is not None and last <= watch.count else watch.count
            yield f"retry: 2000\nid: {at}\n\n"
            while not self._stopped:
                if not await watch.changed(at):
                    yield ": still here\n\n"
                elif watch.count > at:
                    new, at = watch.count - at, watch.count
                    yield f"id: {at}\ndata: {json.dumps({'new': new})}\n\n"
        finally:
            self._readers -= 1
            watch.readers -= 1
            if not watch.readers:
                watch.end()
                self._watches.pop(key, None)


class _Watch:
    """One question that is looked at again and again, as long as somebody reads."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.readers = 0
        self.count = 0

    def begin(self, api: Api) -> None:
        """Look from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._look(api))

    def end(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    def wake(self) -> None:
        """Let all who wait look."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, at: int) -> bool:
        """Return once there is more than that, or somebody was woken; False where nothing was in time."""
        if self.count > at:
            return True
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self, api: Api) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began_s = clock()
            try:
                found = await api.find(lambda database: self._tail.look(database, database.budget))
            except ApiError:
                found = []  # ClickHouse is away or busy; what comes meanwhile is told afterwards
            if found:
                self.count += len(found)
                self.wake()
            # Of very much feedback a look takes longer, and must not take all of ClickHouse's time.
            await asyncio.sleep(max(LOOK_EVERY_S, _PAUSES * (clock() - began_s)))


def _last(request: Request) -> int | None:
    """Return the number of the last event that a reader got; None for none."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004
