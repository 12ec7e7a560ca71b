"""What the routes of vendors' formats share: from what was translated to what is published.

outcome = await gateway.take(judge_translated(spans_to_events(raw, "json", "acme"), rules))
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from afterword.gateway.http.responses import ItemError, refused
from afterword.gateway.intake import Item, Rules, check_count, judge_one
from afterword.gateway.json_values import Value
from afterword.gateway.unicode_text import to_json
from afterword_schemas.errors import InvalidEventError

Translated = Mapping[str, Any] | InvalidEventError | None
"""An event, or why there is none; None for what holds no feedback, which is accepted and dropped."""


def judge_translated(translated: Iterable[Translated], rules: Rules) -> Iterator[Item | ItemError]:
    """Judge what a request was translated to, one by one.

    Raises:
        RequestError: 413 for more feedback than one request may hold.
    """
    for index, event in enumerate(translated):
        check_count(index + 1)
        if isinstance(event, InvalidEventError):
            yield refused(index, None, event)
        elif event is not None:
            yield _judge(index, event, rules)


def _judge(index: int, event: Mapping[str, Any], rules: Rules) -> Item | ItemError:
    try:
        return judge_one(index, Value(event, to_json(event)), rules)
    except InvalidEventError as error:
        return refused(index, None, error)
