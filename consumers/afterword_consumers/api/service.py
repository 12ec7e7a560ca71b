"""What the routes of the API share: admit, read the URL, ask ClickHouse, answer.

    api = api_of(request)
    asked = api.read(request, one=["limit"], many=["where"])
    found = await api.ask(request, lambda database: find_traces(database, …))

Nothing leaves here that is not of the project of whoever asks.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar, cast

from starlette.requests import Request

from afterword_consumers.api.arguments import Arguments
from afterword_consumers.api.budgets import BudgetedDatabase, Connection
from afterword_consumers.api.cached_read import CachedRead
from afterword_consumers.api.errors import ApiError, ErrorCode, of_question
from afterword_consumers.api.failures import translate
from afterword_consumers.api.query_executor import QueryExecutor
from afterword_consumers.query import Budget, Freshness, QuestionError
from afterword_schemas import RetryableError
from afterword_schemas.patterns import is_project

_KAFKA_KEPT_S: Final = 1.0
_Found = TypeVar("_Found")

Admit = Callable[[Request], str | None]
"""Returns the one project that a request may ask about, None for all; raises `ApiError` 401 or 403."""


class FreshnessSource(Protocol):
    """Tells up to when the tables are complete; `FreshnessSource` is one."""

    def read(self) -> Freshness:
        """Return it; called in a thread, before the tables are read."""


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """How the API behaves.

    Attributes:
        budget: Of one request.
        running: How many requests ask ClickHouse at the same time.
        waiting: How many more may wait for that, each for the time of the budget.
        silent_s: How long beyond the time of the budget ClickHouse may be silent.
    """

    budget: Budget = field(default_factory=lambda: Budget(time_s=10))
    running: int = 4
    waiting: int = 16
    silent_s: float = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was admitted.

    Attributes:
        project: The one that it is about; None for all, which only the operator may ask.
        arguments: The other parameters.
    """

    project: str | None
    arguments: Arguments


class Api:
    """The parts behind the routes.

    Args:
        connection: ClickHouse.
        admit: Who may ask what.
        freshness: Up to when the tables are complete.
        options: Limits.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        admit: Admit,
        freshness: FreshnessSource,
        options: ApiOptions | None = None,
    ) -> None:
        self.options = options = options or ApiOptions()
        self.freshness = CachedRead(freshness.read, kept_s=_KAFKA_KEPT_S)
        self._connection, self._admit = connection, admit
        time_s = options.budget.time_s
        self._places = QueryExecutor(
            running=options.running,
            waiting=options.waiting,
            wait_s=time_s,
            run_s=time_s + options.silent_s,
        )

    def read(self, request: Request, *, one: Sequence[str], many: Sequence[str] = ()) -> Asked:
        """Return what a request asks; `project` is a parameter of every route.

        Raises:
            ApiError: 401 or 403 for who asks, 400 for how.
        """
        own = self._admit(request)
        arguments = Arguments(request.scope["query_string"], one=[*one, "project"], many=many)
        return Asked(_project(own, arguments.text("project")), arguments)

    async def ask(self, request: Request, job: Callable[[BudgetedDatabase], _Found]) -> _Found:
        """Return what a job finds in ClickHouse, within the budget, as long as the client waits.

        Raises:
            ApiError: It could not be found.
            ClientGoneError: Nobody waits any more.
        """
        return await _while_connected(request, self.find(job))

    async def ask_all(
        self, request: Request, jobs: Mapping[str, Callable[[BudgetedDatabase], Any]]
    ) -> dict[str, Any]:
        """Return what several jobs find, by name, each as `ask` does; half of the places serve one request.

        One that fails takes no other along: its `ApiError` stands in place of what it would have found.

        Raises:
            ClientGoneError: Nobody waits any more.
        """
        places = asyncio.Semaphore(max(1, self.options.running // 2))

        async def find(job: Callable[[BudgetedDatabase], Any]) -> Any:
            async with places:
                try:
                    return await self.find(job)
                except ApiError as error:
                    return error

        async def find_all() -> list[Any]:
            return await asyncio.gather(*map(find, jobs.values()))

        return dict(zip(jobs, await _while_connected(request, find_all()), strict=True))

    def is_bound(self, request: Request) -> bool:
        """Return whether who asks may see one project alone."""
        return self._admit(request) is not None

    async def find(self, job: Callable[[BudgetedDatabase], _Found]) -> _Found:
        """Return what a job finds in ClickHouse, within the budget, whoever waits for it.

        Raises:
            ApiError: It could not be found.
        """
        database = BudgetedDatabase(self._connection, self.options.budget)
        try:
            return await self._places.run(
                lambda: job(database), stop=database.stop, late=database.late
            )
        except QuestionError as error:
            raise of_question(error) from error
        except RetryableError as error:
            raise translate(error, self.options.budget) from error

    def close(self) -> None:
        """End the threads."""
        self._places.close()
        self.freshness.close()


class ClientGoneError(Exception):
    """The client has closed its connection; whatever is answered is read by nobody."""


def api_of(request: Request) -> Api:
    """Return the API whose app got a request."""
    return cast("Api", request.app.state.api)


def _project(own: str | None, asked: str | None) -> str | None:
    if asked is None:
        return own
    if not is_project(asked):
        raise ApiError(
            400,
            ErrorCode.INVALID_PARAMETER,
            "A project is 1 to 64 letters, digits and . _ -.",
            "Leave project out to ask about all that you may see.",
        )
    if own not in {None, asked}:
        raise ApiError(
            403,
            ErrorCode.FORBIDDEN,
            f"The key is for project {own}.",
            f"Leave project out, write project={own}, or send another key.",
        )
    return asked


async def _while_connected(request: Request, work: Coroutine[Any, Any, _Found]) -> _Found:
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_leave(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()


async def _leave(request: Request) -> None:
    """Return once the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass  # a body, which says nothing here
