"""Everything that clients get wrong, through a real topic: kept whole, said why, and in nobody's way."""

from typing import TYPE_CHECKING

import pytest

from afterword_schemas import InvalidEventError, read_event

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

ID = b'"feedback_id":"5f0e2f0a-0000-4000-8000-%012d","project":"acme"'
HEADERS = [("schema", b"feedback/v1"), ("x", b"\xff\x00"), ("x", None)]


def event(rest: bytes, number: int = 1) -> bytes:
    """Return an event of a number with the rest of its fields as written."""
    return b"{" + ID % number + b',"trace_id":"t",' + rest + b"}"


def nested(opening: bytes, closing: bytes, levels: int) -> bytes:
    """Return an event whose feedback holds a value so many levels down."""
    return event(b'"feedback":{"a":' + opening * levels + b"1" + closing * levels + b"}")


def many(leaves: int) -> bytes:
    """Return an event of so many leaves."""
    return event(b'"feedback":{"a":{' + b",".join(b'"k%d":1' % n for n in range(leaves)) + b"}}")


REFUSED: dict[str, tuple[bytes | None, str, str]] = {
    "null": (None, "empty_message", "$"),
    "empty": (b"", "empty_message", "$"),
    "not JSON": (b"thumbs up", "invalid_json", "$"),
    "half an event": (event(b'"value":4')[:-1], "invalid_json", "$"),
    "two events": (event(b'"value":4') * 2, "invalid_json", "$"),
    "a byte order mark": (b"\xef\xbb\xbf" + event(b'"value":4'), "invalid_json", "$"),
    "not an object": (b'["value",4]', "not_an_object", "$"),
    "a number": (b"4", "not_an_object", "$"),
    "invalid UTF-8": (event(b'"feedback":{"a":"\xff\xfe"}'), "invalid_utf8", "$"),
    "only bytes": (bytes(range(256)), "invalid_utf8", "$"),
    "a lone surrogate": (event(rb'"feedback":{"a":"\ud83d"}'), "invalid_unicode", "$"),
    "a lone surrogate key": (event(rb'"feedback":{"\udc4d":1}'), "invalid_unicode", "$"),
    "NaN": (event(b'"feedback":{"a":NaN}'), "not_finite", "$.feedback.a"),
    "infinity": (event(b'"feedback":{"a":[-Infinity]}'), "not_finite", "$.feedback.a[0]"),
    "an infinite value": (event(b'"value":Infinity'), "not_finite", "$.value"),
    "1e999": (event(b'"feedback":{"a":1e999}'), "not_finite", "$.feedback.a"),
    "beyond 64 bits": (
        event(b'"feedback":{"a":18446744073709551616}'),
        "out_of_range",
        "$.feedback.a",
    ),
    "100,000 brackets": (event(b'"feedback":{"a":' + b"[" * 100_000), "too_deep", "$"),
    "100,000 braces": (b'{"a":' * 100_000, "too_deep", "$"),
    "six objects deep": (nested(b'{"b":', b"}", 6), "too_deep", "$.feedback.a.b.b.b.b.b"),
    "three arrays deep": (nested(b"[", b"]", 3), "too_deep", "$.feedback.a[0][0]"),
    "too many leaves": (many(1001), "too_many_leaves", "$"),
    "a path too long": (
        event(b'"feedback":{"%s":1}' % (b"k" * 504)),
        "path_too_long",
        "$.feedback",
    ),
    "an unknown field": (event(b'"value":4,"valeu":4'), "unknown_field", "$.valeu"),
    "no id": (b'{"project":"acme","trace_id":"t","value":4}', "missing_field", "$.feedback_id"),
    "no project": (
        b'{"feedback_id":"5f0e2f0a-0000-4000-8000-000000000001","trace_id":"t","value":4}',
        "missing_field",
        "$.project",
    ),
    "no target": (b"{" + ID % 1 + b',"value":4}', "no_target", "$"),
    "nothing said": (event(b'"feedback":{"a":[{}]}'), "empty_event", "$"),
    "a value as text": (event(b'"value":"4"'), "wrong_type", "$.value"),
    "a value as boolean": (event(b'"value":true'), "wrong_type", "$.value"),
    "half a value": (event(b'"value":4.5'), "wrong_type", "$.value"),
    "feedback as array": (event(b'"feedback":[1]'), "wrong_type", "$.feedback"),
    "an object as user": (
        event(b'"value":1,"metadata":{"_user":{}}'),
        "wrong_type",
        "$.metadata._user",
    ),
    "a value too high": (event(b'"value":11'), "out_of_range", "$.value"),
    "a weight too low": (event(b'"value":1,"weight":-0.1'), "out_of_range", "$.weight"),
    "year 1": (
        event(b'"value":1,"created_at":"0001-01-01T00:00:00Z"'),
        "out_of_range",
        "$.created_at",
    ),
    "year 9999": (
        event(b'"value":1,"updated_at":"9999-12-31T23:59:59Z"'),
        "out_of_range",
        "$.updated_at",
    ),
    "a local time": (
        event(b'"value":1,"created_at":"2026-01-01T00:00:00"'),
        "invalid_format",
        "$.created_at",
    ),
    "a bad id": (b'{"feedback_id":"1","project":"acme"}', "invalid_format", "$.feedback_id"),
    "a key twice": (
        event(b'"feedback":{"a":1,"a":2}'),
        "duplicate_key",
        "$.feedback.a",
    ),
    "a field twice": (event(b'"value":1,"value":2'), "duplicate_key", "$.value"),
    "a clear with content": (event(b'"op":"clear","value":1'), "not_allowed", "$.value"),
    "a megabyte": (event(b'"feedback":{"a":"%s"}' % (b"x" * 1_000_000)), "too_large", "$"),
}

ACCEPTED: dict[str, tuple[bytes, str, object]] = {
    "a dot in a key": (b'"feedback":{"a.b":1,"a":{"b":2}}', "numbers['feedback.a%2Eb']", 1.0),
    "a NUL": (rb'"feedback":{"a\u0000b":"c\u0000d"}', "strings['feedback.a\\0b']", "c\x00d"),
    "an emoji": ('"feedback":{"👍":"día 👍🏽"}'.encode(), "strings['feedback.👍']", "día 👍🏽"),
    "an escaped emoji": (rb'"feedback":{"a":"\ud83d\udc4d"}', "strings['feedback.a']", "👍"),
    "an empty key": (b'"feedback":{"":true}', "booleans['feedback.']", True),
    "a quote and a backslash": (rb'"feedback":{"a":"\"\\\n"}', "strings['feedback.a']", '"\\\n'),
    "64 bits": (
        b'"feedback":{"a":18446744073709551615}',
        "numbers['feedback.a']",
        18446744073709551616.0,
    ),
    "negative 63 bits": (
        b'"feedback":{"a":-9223372036854775808}',
        "numbers['feedback.a']",
        -9223372036854775808.0,
    ),
    "the largest number": (
        b'"feedback":{"a":1.7976931348623157e308}',
        "numbers['feedback.a']",
        1.7976931348623157e308,
    ),
    "the smallest number": (b'"feedback":{"a":5e-324}', "numbers['feedback.a']", 5e-324),
    "a long text": (
        b'"feedback":{"a":"%s"}' % (b"x" * 999_800),
        "toFloat64(length(strings['feedback.a']))",
        999_800.0,
    ),
    "a thousand leaves": (
        b'"feedback":{"a":{' + b",".join(b'"k%d":1' % n for n in range(1000)) + b"}}",
        "toFloat64(length(numbers))",
        1000.0,
    ),
    "five objects deep": (
        b'"feedback":{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}',
        "numbers['feedback.a.b.c.d.e.f']",
        1.0,
    ),
    "a date as text": (b'"feedback":{"a":"2026-01-31"}', "strings['feedback.a']", "2026-01-31"),
    "a number as text": (b'"feedback":{"a":"4"}', "strings['feedback.a']", "4"),
    "a time that is to come": (
        b'"value":1,"created_at":"2099-12-31T23:59:59.999Z","updated_at":"2099-01-01T00:00:00Z"',
        "toFloat64(created_at = updated_at AND updated_at <= ingested_at)",
        1.0,
    ),
    "the first day": (
        b'"value":1,"created_at":"2015-01-01T00:00:00Z"',
        "toString(created_at)",
        "2015-01-01 00:00:00.000",
    ),
}


def verdict(raw: bytes | None) -> InvalidEventError:
    """Return what every part of Afterword says of these bytes."""
    with pytest.raises(InvalidEventError) as refusal:
        read_event(raw or b"")
    return refusal.value


def test_what_is_refused_is_kept_whole_and_blocks_nothing(pipeline: "Pipeline") -> None:
    """Each bad message is in rejected with bytes, reason, key and headers; each good one is stored."""
    key = b"\x00\xff one partition, so one order"
    for number, (raw, _, _) in enumerate(REFUSED.values()):
        pipeline.publish_raw(event(b'"value":%d' % (number % 10), number), key)
        pipeline.publish_raw(raw, key, HEADERS)
    pipeline.flush()
    worker = pipeline.work_off(2 * len(REFUSED))
    rows = pipeline.select(
        "SELECT kafka_offset, code, path, detail, hex(payload), hex(message_key),"
        " arrayMap(h -> (h.name, hex(h.value)), headers)"
        " FROM feedback_rejected FINAL ORDER BY kafka_offset"
    )
    assert [row[0] for row in rows] == [2 * n + 1 for n in range(len(REFUSED))]
    headers = [("schema", b"feedback/v1".hex().upper()), ("x", "FF00"), ("x", "")]
    for row, (name, (raw, code, path)) in zip(rows, REFUSED.items(), strict=True):
        assert (name, *row[1:3]) == (name, code, path)
        assert (name, row[3]) == (name, verdict(raw).detail)
        assert bytes.fromhex(row[4]) == (raw or b"")
        assert bytes.fromhex(row[5]) == key
        assert list(row[6]) == headers
    stored = pipeline.select("SELECT kafka_offset, value FROM feedback_current ORDER BY 1")
    assert stored == [(2 * number, number % 10) for number in range(len(REFUSED))]
    assert (worker.stats.stored, worker.stats.rejected) == (len(REFUSED), len(REFUSED))


def test_what_is_odd_but_right_is_stored_as_it_is(pipeline: "Pipeline") -> None:
    """Keys with dots, NULs and emoji, extreme numbers and long texts arrive unchanged."""
    for number, (rest, _, _) in enumerate(ACCEPTED.values()):
        pipeline.publish_raw(event(rest, number), None)
    pipeline.flush()
    worker = pipeline.work_off(len(ACCEPTED))
    assert worker.stats.rejected == 0
    for number, (name, (_, expression, expected)) in enumerate(ACCEPTED.items()):
        id_ = f"5f0e2f0a-0000-4000-8000-{number:012}"
        found = pipeline.select(
            f"SELECT {expression} FROM feedback_current WHERE feedback_id = '{id_}'"
        )
        assert (name, found) == (name, [(expected,)])


def test_a_topic_of_nothing_but_bad_messages_is_worked_off(pipeline: "Pipeline") -> None:
    """A flood of refused messages is recorded and committed like any other."""
    for number in range(20_000):
        pipeline.publish_raw(b"%d" % number, b"%d" % number)
    pipeline.flush()
    pipeline.work_off(20_000)
    assert pipeline.select(
        "SELECT count(), uniqExact(payload), any(code) FROM feedback_rejected FINAL"
    ) == [(20_000, 20_000, "not_an_object")]
    assert pipeline.select("SELECT count() FROM feedback") == [(0,)]


def test_a_row_that_clickhouse_refuses_is_found_among_the_others(pipeline: "Pipeline") -> None:
    """A constraint of the operator's costs the rows that break it, and says so with their messages."""
    pipeline.clickhouse.command(
        "ALTER TABLE feedback ADD CONSTRAINT no_poison CHECK trace_id != 'poison'"
    )
    for number in range(500):
        trace = b"poison" if number in {0, 251, 499} else b"fine"
        raw = b"{" + ID % number + b',"value":1,"trace_id":"' + trace + b'"}'
        pipeline.publish_raw(raw, b"one partition")
    pipeline.flush()
    worker = pipeline.work_off(500)
    assert (worker.stats.stored, worker.stats.rejected) == (497, 3)
    refused = pipeline.select(
        "SELECT kafka_offset, code, path, payload LIKE '%poison%', detail"
        " FROM feedback_rejected FINAL ORDER BY 1"
    )
    why = "ClickHouse refused the row: VIOLATED_CONSTRAINT (code 469), Constraint `no_poison`"
    assert refused == [(n, "store_refused", "$", True, why) for n in (0, 251, 499)]
    assert pipeline.select("SELECT count() FROM feedback_current") == [(497,)]


def test_a_rejection_that_the_table_refuses_is_tried_until_it_goes_in(
    pipeline: "Pipeline",
) -> None:
    """Nothing is committed past a refused message that is not kept yet: a full disk ends in a wait."""
    pipeline.clickhouse.command(
        "ALTER TABLE feedback_rejected ADD CONSTRAINT small CHECK length(payload) < 10"
    )
    pipeline.publish_raw(b"this is no JSON, and long", b"key")
    pipeline.flush()
    worker = pipeline.worker()
    before: list[int] = []

    def went_in() -> bool:
        if worker.stats.retries >= 2 and not before:
            before.append(worker.stats.rejected)
            pipeline.clickhouse.command("ALTER TABLE feedback_rejected DROP CONSTRAINT small")
        return worker.stats.rejected == 1

    pipeline.work(worker, until=went_in)

    assert before == [0]
    assert pipeline.select("SELECT payload FROM feedback_rejected") == [
        ("this is no JSON, and long",)
    ]
