"""A month of made-up feedback on three models: realistic in its mix, the same for the same seed.

    for send in traffic(50_000, now): send(client)

One model gets worse in the last week, one prompt is slow, and 1 event in 200 is broken, as from a
service in another language that has never heard of the SDK.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from afterword import Client
from afterword_schemas import to_ms

PROJECT: Final = "demo"
DRIFTING_MODEL: Final = "aurora-2"

_SEED: Final = 20_26
_DAYS: Final = 30
_BROKEN_EVERY: Final = 200
_MODELS: Final = {"aurora-1": 0.74, "aurora-2": 0.82, "borealis-1": 0.66}
"""Share of thumbs up."""

_AGAIN: Final = 0.3
"""How often the next reaction is to the same answer."""

_DRIFT: Final = -0.22
"""What the drifting model's share loses in the last week."""

_PROMPTS: Final = {"summarise-v1": 6.6, "summarise-v2": 6.1, "translate-v1": 7.2}
"""Mean of the logarithm of `feedback.step1.latency_ms`."""

_PRAISE: Final = ("exactly what I needed", "good, but the tone is off", "short and clear")
_BLAME: Final = ("missed the date", "too long", "wrong currency", "made up a reference")
_NEW_BLAME: Final = ("made up a reference", "it made up a reference", "wrong currency")
"""What people say of the model that gets worse."""


_CORRECTIONS: Final = (
    (
        "The invoice of 31 January is for USD 1,200 and is due on receipt.",
        "The invoice of 3 February is for NOK 1,200 and is due within 14 days.",
    ),
    (
        "The meeting takes place in Bergen on Tuesday at ten.",
        "The meeting takes place in Oslo on Tuesday at nine.",
    ),
    (
        "Both parties may end the contract with a notice of one month.",
        "Only the tenant may end the contract, with a notice of three months.",
    ),
)
"""What an answer said, and what somebody made of it."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """One answer that somebody reacted to.

    Attributes:
        feedback_id: A version 7 of the time.
        trace_id: Of the request.
        good: How the model would have to be judged.
        drifting: Whether it is of the model, and the week, that is worse.
    """

    feedback_id: str
    trace_id: str
    session_id: str
    at: datetime
    model: str
    prompt: str
    good: bool
    drifting: bool
    metadata: dict[str, object]


Send = Callable[[Client, Callable[[bytes, bytes], None]], None]
"""Sends one event: by the client, or if it is broken by the function for raw key and value."""


def traffic(events: int, now: datetime, project: str = PROJECT) -> Iterator[Send]:
    """Yield so many events, in order of time, ending now.

    Args:
        events: How many.
        now: The time of the last one.
        project: Named by the broken ones, which no client sends.
    """
    dice = random.Random(_SEED)  # noqa: S311  # a demo, not a secret
    answer: Occasion | None = None
    for number in range(events):
        age = timedelta(days=_DAYS) * (1 - (number + 1) / events)
        occasion = _occasion(dice, number, now - age, late=age < timedelta(days=7))
        if answer is not None and dice.random() < _AGAIN:
            occasion = _same_answer(occasion, answer)
        answer = occasion
        if number % _BROKEN_EVERY == _BROKEN_EVERY - 1:
            yield _broken(dice, occasion, project)
        else:
            yield _reaction(dice, occasion)


def _same_answer(occasion: Occasion, answer: Occasion) -> Occasion:
    """Return another reaction to the answer that somebody reacted to before."""
    return replace(
        answer,
        feedback_id=occasion.feedback_id,
        at=occasion.at,
        metadata={**answer.metadata, "_user": occasion.metadata["_user"]},
    )


def _occasion(dice: random.Random, number: int, at: datetime, *, late: bool) -> Occasion:
    model = dice.choices(list(_MODELS), (5, 3, 2))[0]
    prompt = dice.choice(list(_PROMPTS))
    drifting = late and model == DRIFTING_MODEL
    share = _MODELS[model] + (_DRIFT if drifting else 0)
    environment = "production" if dice.random() < 0.9 else "staging"  # noqa: PLR2004  # one in ten
    return Occasion(
        feedback_id=_uuid7(dice, at),
        trace_id=f"tr-{number:06}",
        session_id=f"chat-{number // 4:05}",
        at=at,
        model=model,
        prompt=prompt,
        good=dice.random() < share,
        drifting=drifting,
        metadata={
            "model": model,
            "_prompt": prompt,
            "_environment": environment,
            "_user": f"u-{dice.randrange(2_000)}",
        },
    )


def _reaction(dice: random.Random, occasion: Occasion) -> Send:
    kinds = {
        _thumb: 34,
        _stars: 14,
        _comment: 8,
        _score: 14,
        _edits: 10,
        _ground_truth: 2,
        _copy: 11,
        _regenerate: 7,
    }
    kind = dice.choices(list(kinds), list(kinds.values()))[0]
    return kind(dice, occasion)


def _thumb(dice: random.Random, occasion: Occasion) -> Send:
    said = {"rating": occasion.good, "step1": _step(dice, occasion)}
    value = 1 if occasion.good else -1
    return lambda client, _: _give(client, occasion, said, value=value)


def _stars(dice: random.Random, occasion: Occasion) -> Send:
    stars = dice.choices((1, 2, 3, 4, 5), (1, 1, 3, 6, 5) if occasion.good else (6, 4, 3, 1, 1))[0]
    said = {"stars": stars, "step1": _step(dice, occasion)}
    return lambda client, _: _give(client, occasion, said)


def _comment(dice: random.Random, occasion: Occasion) -> Send:
    blame = _NEW_BLAME if occasion.drifting else _BLAME
    said = {"rating": occasion.good, "comment": dice.choice(_PRAISE if occasion.good else blame)}
    return lambda client, _: _give(client, occasion, said)


def _score(dice: random.Random, occasion: Occasion) -> Send:
    mean = 5 if occasion.good else -4
    value = max(-10, min(10, round(dice.gauss(mean, 2.5))))
    weight = dice.choice((0.5, 0.8, 1.0))
    said = {"score": round(min(1.0, max(0.0, dice.gauss(0.5 + mean / 15, 0.12))), 3)}
    return lambda client, _: _give(client, occasion, said, value=value, weight=weight)


def _edits(dice: random.Random, occasion: Occasion) -> Send:
    edits = [
        {
            "original": original,
            "value": corrected,
            "seconds": round(dice.expovariate(0.1), 1),
        }
        for original, corrected in dice.sample(_CORRECTIONS, dice.choice((1, 1, 2, 3)))
    ]
    said = {"edited": True, "edits": edits, "step1": _step(dice, occasion)}
    return lambda client, _: _give(client, occasion, said)


def _ground_truth(dice: random.Random, occasion: Occasion) -> Send:
    said = {"rating": occasion.good, "ground_truth": dice.choice(("Oslo", "42", "NOK 1,200"))}
    scores = {
        "accuracy": round(dice.betavariate(5, 2), 2),
        "tone": round(dice.betavariate(8, 2), 2),
    }
    return lambda client, _: _give(client, occasion, said, metrics=scores)


def _copy(_: random.Random, occasion: Occasion) -> Send:
    def send(client: Client, _: object) -> None:
        client.copied(
            feedback_id=occasion.feedback_id,
            trace_id=occasion.trace_id,
            metadata=occasion.metadata,
            updated_at=occasion.at,
        )

    return send


def _regenerate(_: random.Random, occasion: Occasion) -> Send:
    def send(client: Client, _: object) -> None:
        client.regenerated(
            feedback_id=occasion.feedback_id,
            trace_id=occasion.trace_id,
            metadata=occasion.metadata,
            updated_at=occasion.at,
        )

    return send


def _give(
    client: Client,
    occasion: Occasion,
    said: Mapping[str, object],
    *,
    value: int | None = None,
    weight: float | None = None,
    metrics: Mapping[str, object] | None = None,
) -> None:
    client.feedback(
        feedback_id=occasion.feedback_id,
        trace_id=occasion.trace_id,
        session_id=occasion.session_id,
        value=value,
        weight=weight,
        feedback=said,
        metadata=occasion.metadata,
        metrics=metrics,
        updated_at=occasion.at,
    )


def _step(dice: random.Random, occasion: Occasion) -> dict[str, object]:
    latency_ms = dice.lognormvariate(_PROMPTS[occasion.prompt], 0.5)
    return {"retry": dice.random() < 0.07, "latency_ms": round(latency_ms)}  # noqa: PLR2004  # 7 %


def _broken(dice: random.Random, occasion: Occasion, project: str) -> Send:
    """Return an event with one of the faults that services really send."""
    head = f'{{"feedback_id": "{occasion.feedback_id}", "project": "{project}", "trace_id": "t"'
    faults = (
        f'{head}, "vlaue": 4}}',
        f'{head}, "value": 11}}',
        f'{head}, "value": "4"}}',
        f'{head}, "feedback": {{"score": NaN}}}}',
        f'{head}, "value": 1, "created_at": "2026-01-31T09:30:00"}}',
        f'{head}, "feedback": {{"rating": true, "rating": false}}}}',
        f'{head}, "value": 1',
        f'{head}, "feedback": {{"a": {{"b": {{"c": {{"d": {{"e": {{"f": {{}}}}}}}}}}}}}}}}',
        f'{{"feedback_id": "{occasion.feedback_id}", "project": "{project}", "value": 1}}',
        "",
    )
    # The first is what a typo in one service looks like: far the most frequent.
    fault = dice.choices(faults, (9, 5, 4, 3, 3, 2, 2, 1, 2, 1))[0]
    return lambda _, send_raw: send_raw(occasion.feedback_id.encode(), fault.encode())


def _uuid7(dice: random.Random, at: datetime) -> str:
    random_bits = dice.getrandbits(74)
    return str(
        UUID(
            int=to_ms(at) << 80
            | 7 << 76
            | (random_bits >> 62) << 64
            | 2 << 62
            | random_bits & (2**62 - 1)
        )
    )
