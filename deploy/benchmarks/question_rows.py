"""Feedback made inside ClickHouse, for benchmarks of questions: 30 days of it, in order of time.

    fill(clickhouse, 10_000_000, said=print)

Each event has about ten leaves: numbers, booleans and texts at up to two levels, and a comment in one
of five. Of 100 events one is changed later, of 1,000 one is taken back, so that `FINAL` has work. Chance
comes of hashes of the event's number: the same rows every time.
"""

# ruff: noqa: INP001  # a script's part, in no package

from collections.abc import Callable

from afterword_consumers.clickhouse.client import ClickHouse

FIRST_DAY = "2026-10-01"
DAYS = 30
PATHS = {
    "feedback.score": "number",
    "feedback.step1.latency_ms": "number",
    "metrics.accuracy": "number",
    "feedback.rating": "boolean",
    "feedback.step1.retry": "boolean",
    "feedback.reason": "string",
    "feedback.comment": "string",
    "metadata.model": "string",
    "metadata.country": "string",
    "metadata.app.version": "string",
}

_CHUNK_ROWS = 1_000_000

_SETTINGS = "SETTINGS max_insert_threads = 2, async_insert = 0, max_memory_usage = 16000000000"

_EVENTS = f"""
SELECT
    number,
    cityHash64(number, 1) AS a,
    cityHash64(number, 2) AS b,
    cityHash64(number, 3) AS c,
    toDateTime64('{FIRST_DAY} 00:00:00', 3, 'UTC')
        + toIntervalMillisecond(intDiv(number * {DAYS * 86_400_000}, {{rows}})) AS moment,
    leftPad(lower(hex(toUInt64(toUnixTimestamp64Milli(moment)))), 12, '0') AS stamp,
    leftPad(lower(hex(cityHash64(number, 4))), 16, '0') AS tail
FROM numbers({{start}}, {{count}})
WHERE {{which}}"""

_ROWS = """
INSERT INTO feedback (project, feedback_id, trace_id, session_id, span_id, source, user_id,
    organisation, prompt, environment, value, weight, numbers, booleans, strings, created_at,
    updated_at, is_deleted, kafka_topic, kafka_partition, kafka_offset)
SELECT
    'acme',
    toUUID(concat(substring(stamp, 1, 8), '-', substring(stamp, 9, 4), '-7', substring(tail, 1, 3),
        '-8', substring(tail, 4, 3), '-', substring(tail, 5, 12))),
    concat('tr-', lower(hex(a))),
    concat('s-', toString(intDiv(number, 4))),
    '',
    if(b % 4 = 0, 'implicit', 'explicit'),
    concat('u-', toString(a % 200000)),
    ['north', 'south', 'east'][1 + a % 3],
    ['v1', 'v2', 'v3', 'v4'][1 + b % 4],
    ['prod', 'prod', 'staging'][1 + c % 3],
    toInt8(b % 21) - 10,
    (c % 11) / 10,
    map(
        'feedback.score', round(exp((a % 10007) / 2500), 3),
        'feedback.step1.latency_ms', round(pow(1 + b % 9973, 1.3)),
        'metrics.accuracy', (c % 1000003) / 1000003),
    map('feedback.rating', a % 10 < 7, 'feedback.step1.retry', c % 20 = 0),
    mapFromArrays(
        arrayConcat(
            ['metadata.model', 'metadata.country', 'metadata.app.version', 'feedback.reason'],
            if(c % 5 = 0, ['feedback.comment'], [])),
        arrayConcat(
            [
                ['gpt-5', 'gpt-5-mini', 'claude-5', 'llama-4', 'mistral-3'][1 + a % 5],
                concat('c', toString(b % 50)),
                concat('1.', toString(c % 30)),
                ['wrong', 'slow', 'long', 'unsafe', 'other', 'vague', 'rude', 'off'][1 + b % 8]
            ],
            if(c % 5 = 0,
                [substring(repeat(concat('it said ', toString(a % 1000), ' and '), 12), 1, 20 + b % 150)],
                []))),
    moment,
    moment + toIntervalMinute({minutes}),
    {is_deleted},
    'feedback.events',
    number % 12,
    number
FROM ({events})
{settings}"""


def fill(clickhouse: ClickHouse, rows: int, said: Callable[[str], None]) -> None:
    """Insert so many events, their changes and the catalogue, and wait until merges have ended."""
    for path, kind in PATHS.items():
        clickhouse.command(
            "INSERT INTO feedback_paths (project, path, type, first_seen, last_seen, example) "
            f"VALUES ('acme', '{path}', '{kind}', now64(3), now64(3), '')"
        )
    for start in range(0, rows, _CHUNK_ROWS):
        count = min(_CHUNK_ROWS, rows - start)
        for which, minutes, is_deleted in (
            ("true", 0, 0),
            ("number % 100 = 7", 5, 0),
            ("number % 1000 = 13", 9, 1),
        ):
            events = _EVENTS.format(rows=rows, start=start, count=count, which=which)
            clickhouse.command(
                _ROWS.format(
                    minutes=minutes, is_deleted=is_deleted, events=events, settings=_SETTINGS
                )
            )
        said(f"{start + count:,} of {rows:,} rows")
    while clickhouse.select("SELECT count() FROM system.merges")[0][0]:
        said("merging")
        clickhouse.select("SELECT sleep(3)")
