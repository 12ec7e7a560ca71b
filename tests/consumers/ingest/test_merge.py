"""Merging a patch into a row: newer wins, older fills gaps, twice is once."""

from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from afterword_consumers.ingest.merge import merge
from afterword_consumers.ingest.rows import (
    BOOLEANS,
    CREATED_AT,
    IS_DELETED,
    KAFKA_PARTITION,
    KAFKA_TOPIC,
    NUMBERS,
    SOURCE,
    STRINGS,
    TRACE_ID,
    UPDATED_AT,
    USER_ID,
    VALUE,
    WEIGHT,
    Row,
    to_row,
    version,
)
from afterword_consumers.testing import MemoryMessage
from afterword_schemas import InvalidEventError, RejectCode, array_paths, read_event

ID = "5f0e2f0a-0000-4000-8000-000000000001"


NEW_YEAR_MS = 1_767_225_600_000


def make(
    offset: int, second: int, *, topic_id: str = "topic-id", **fields: Any
) -> tuple[Row, list[str], frozenset[str], int]:
    """Return row, arrays, given fields and time of reading of a patch at an offset, changed at a second."""
    event = {"feedback_id": ID, "project": "acme", "op": "patch", **fields}
    event["updated_at"] = f"2026-01-01T00:00:{second:02}Z"
    message = MemoryMessage("feedback.events", 0, offset, None, orjson.dumps(event), (), 0)
    parsed, leaves = read_event(orjson.dumps(event))
    arrays = array_paths("feedback", parsed.feedback)
    row = to_row(parsed, leaves, message, topic_id, NEW_YEAR_MS)
    return row, arrays, frozenset(parsed.model_fields_set), NEW_YEAR_MS


def whole(offset: int, second: int, **fields: Any) -> Row:
    """Return the row of an event that the store has."""
    return make(offset, second, **fields)[0]


def merged(base: Row, offset: int, second: int, **fields: Any) -> Row:
    """Merge a patch into a row, which it must have something to add to."""
    row = merge(base, *make(offset, second, **fields))
    assert row is not None
    return row


def kept(base: Row, offset: int, second: int, **fields: Any) -> Row:
    """Merge a patch into a row; the row as it is where the patch is older and adds nothing."""
    try:
        return merged(base, offset, second, **fields)
    except InvalidEventError as error:
        if error.code is not RejectCode.OLDER_THAN_STORED:
            raise
        return base


def clear(
    offset: int, second: int, read_second: int = 0
) -> tuple[Row, list[str], frozenset[str], int]:
    """Return what `make` returns, of a clear that was read at a second."""
    row, arrays, given_fields, _ = make(offset, second, op="clear")
    return row, arrays, given_fields, NEW_YEAR_MS + read_second * 1000


def leaves(row: Row) -> dict[str, object]:
    """Return the paths of a row without their root, of all three types."""
    found = {**row[NUMBERS], **row[BOOLEANS], **row[STRINGS]}
    return {path.removeprefix("feedback."): leaf for path, leaf in found.items()}


def test_a_newer_patch_replaces_and_adds() -> None:
    """A path takes the newer value, also of another type; the others stay."""
    base = whole(1, 10, feedback={"rating": True, "score": 1, "note": "a"})
    row = merged(base, 2, 20, feedback={"rating": "good", "score": 2, "late": False})
    assert leaves(row) == {"rating": "good", "score": 2, "note": "a", "late": False}
    assert row[UPDATED_AT] == 1767225620.0


def test_an_older_patch_only_fills_gaps() -> None:
    """What the row has stays, what it lacks is added, and its time does not go back."""
    base = whole(1, 20, value=3, trace_id="t1", feedback={"rating": True})
    row = merged(
        base, 2, 10, value=1, trace_id="t2", span_id="s", feedback={"rating": False, "x": 1}
    )
    assert leaves(row) == {"rating": True, "x": 1}
    assert (row[VALUE], row[TRACE_ID], row[TRACE_ID + 2]) == (3, "t1", "s")
    assert row[UPDATED_AT] == 1767225620.0


def test_an_array_is_replaced_as_a_whole() -> None:
    """No element of the old array survives beside the new ones, nested paths included."""
    base = whole(1, 10, feedback={"tags": ["a", "b", {"c": 1}], "tagsize": 3})
    row = merged(base, 2, 20, feedback={"tags": ["z"]})
    assert leaves(row) == {"tags.0": "z", "tagsize": 3}


def test_an_older_array_does_not_mix_with_a_newer_one() -> None:
    """The elements that the newer array lacks are no gaps."""
    base = whole(1, 20, feedback={"tags": ["z"]})
    row = merged(base, 2, 10, feedback={"tags": ["a", "b"], "x": 1})
    assert leaves(row) == {"tags.0": "z", "x": 1}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 2}, {"a": {"b": 1}}, {"a.b": 1}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a.b": 1, "a.c": 2}),
        ({"a": {"b": 1}, "ab": 1}, {"a": "x"}, {"a": "x", "ab": 1}),
        ({"a": [1, 2]}, {"a": "x"}, {"a": "x"}),
        ({"a": [1, 2]}, {"a": []}, {"a.0": 1, "a.1": 2}),
        ({"a": 1}, {"a": None}, {"a": 1}),
        ({"a.b": 1}, {"a": {"b": 2}}, {"a%2Eb": 1, "a.b": 2}),
    ],
)
def test_a_value_and_a_container_never_share_a_place(
    old: dict[str, object], new: dict[str, object], expected: dict[str, object]
) -> None:
    """A newer value removes what stood below its path, a newer object what stood at it."""
    row = merged(whole(1, 10, value=1, feedback=old), 2, 20, value=1, feedback=new)
    assert leaves(row) == expected


def test_a_weight_follows_its_value() -> None:
    """An older value that fills a gap brings its weight; one that does not, leaves it."""
    base = whole(1, 20, feedback={"x": 1})
    filled = merged(base, 2, 10, value=2, weight=0.25)
    assert (filled[VALUE], filled[WEIGHT]) == (2, 0.25)
    kept = merged(filled, 3, 10, value=1, weight=0.75, feedback={"y": 1})
    assert (kept[VALUE], kept[WEIGHT]) == (2, 0.25)
    weighed = merged(filled, 4, 30, weight=0.75)
    assert (weighed[VALUE], weighed[WEIGHT]) == (2, 0.75)


def test_a_default_never_overwrites() -> None:
    """Fields that a newer patch does not name keep what is stored."""
    base = whole(1, 10, value=2, weight=0.25, source="implicit", metadata={"_user": "u1"})
    row = merged(base, 2, 20, feedback={"x": 1})
    assert (row[VALUE], row[WEIGHT], row[SOURCE], row[USER_ID]) == (2, 0.25, "implicit", "u1")


def test_creation_moves_only_for_a_patch_that_names_it() -> None:
    """A newer patch sets created_at, an older one only moves it back, a default does nothing."""
    base = whole(1, 10, value=1, created_at="2026-01-01T00:00:05Z")
    assert merged(base, 2, 20, value=2)[CREATED_AT] == 1767225605.0
    assert merged(base, 2, 5, feedback={"x": 1})[CREATED_AT] == 1767225605.0
    later, earlier = "2026-01-01T00:00:08Z", "2026-01-01T00:00:02Z"
    assert merged(base, 2, 20, created_at=later, value=2)[CREATED_AT] == 1767225608.0
    assert merged(base, 2, 5, created_at=later, value=1)[CREATED_AT] == 1767225605.0
    assert merged(base, 2, 5, created_at=earlier, value=1)[CREATED_AT] == 1767225602.0


def test_a_cleared_event_is_not_resurrected_by_an_older_patch() -> None:
    """Only what is newer than the clear begins anew, and without what was cleared."""
    tombstone = whole(1, 20, feedback={"x": 1})
    tombstone[IS_DELETED] = 1
    with pytest.raises(InvalidEventError, match="older_than_stored"):
        merge(tombstone, *make(2, 19, feedback={"y": 1}))
    assert leaves(merged(tombstone, 3, 20, feedback={"y": 1})) == {"y": 1}


def test_the_row_says_where_its_newest_message_stands() -> None:
    """A merged row carries the place of the patch, whichever is newer by time."""
    base = whole(1, 20, value=1)
    assert merged(base, 7, 10, feedback={"x": 1})[KAFKA_TOPIC:] == [
        "feedback.events",
        "topic-id",
        0,
        7,
    ]


def test_a_patch_of_a_topic_made_anew_is_not_taken_for_an_old_one() -> None:
    """Offsets begin again with the topic: a patch with a smaller offset counts, and an older one fills gaps."""
    base = whole(1000, 10, value=1, topic_id="before")
    for second in (20, 5):
        row = merged(base, 0, second, feedback={"x": 1})
        assert leaves(row) == {"x": 1}
        assert row[KAFKA_TOPIC:] == ["feedback.events", "topic-id", 0, 0]
        assert version(row) > version(base)


def test_rows_of_older_versions_are_known_by_place_and_time() -> None:
    """They have no topic id: what is newer by its time is never taken for old."""
    base = whole(1000, 10, value=1, topic_id="")
    assert leaves(merged(base, 0, 20, feedback={"x": 1})) == {"x": 1}
    assert merge(base, *make(0, 5, feedback={"x": 1})) is base


def test_two_halves_may_not_exceed_one_event() -> None:
    """A row that grows past the limit of an event by patches is refused."""
    base = whole(1, 10, feedback={f"a{n}": n for n in range(600)})
    with pytest.raises(InvalidEventError) as refusal:
        merge(base, *make(2, 20, feedback={f"b{n}": n for n in range(401)}))
    assert refusal.value.code is RejectCode.TOO_MANY_LEAVES
    assert len(leaves(merged(base, 2, 20, feedback={f"b{n}": n for n in range(400)}))) == 1000


_LEAVES = st.sampled_from(
    [True, 1, "a", {"p": 1}, {"q": 2, "p": {"r": 3}}, [1], [2, 3], [{"p": 1}]]
)


def contents(keys: str) -> st.SearchStrategy[dict[str, object]]:
    """Draw feedback with some of these keys."""
    return st.dictionaries(st.sampled_from(list(keys)), _LEAVES, min_size=1, max_size=3)


def test_an_older_patch_of_which_nothing_is_kept_is_refused() -> None:
    """Where it would change nothing and says otherwise, its sender can learn that."""
    base = whole(1, 20, value=3, trace_id="t", feedback={"rating": True, "a": {"b": 1}})
    for fields in (
        {"value": -1},
        {"trace_id": "other"},
        {"feedback": {"rating": False}},
        {"feedback": {"a": 5}},
        {"value": 3, "weight": 0.5},
        {"value": 3, "source": "implicit"},
    ):
        with pytest.raises(InvalidEventError) as refusal:
            merge(base, *make(2, 10, **fields))
        assert (refusal.value.code, refusal.value.path) == (
            RejectCode.OLDER_THAN_STORED,
            "$.updated_at",
        )


def test_an_older_patch_that_says_what_is_stored_is_not_refused() -> None:
    """A request that was sent twice, the second time late, lost nothing."""
    base = whole(1, 20, value=3, trace_id="t", feedback={"rating": True})
    assert (
        merged(base, 2, 10, value=3, trace_id="t", feedback={"rating": True})[:KAFKA_TOPIC]
        == (base[:KAFKA_TOPIC])
    )


@pytest.mark.parametrize("deleted", [0, 1])
def test_a_clear_takes_back_what_is_older(deleted: int) -> None:
    """Or as old, or cleared already; and its row wins over the one that it clears."""
    base = whole(1, 20, value=3)
    base[IS_DELETED] = deleted
    row = merge(base, *clear(2, 20))
    assert row is not None
    assert (row[IS_DELETED], version(row) > version(base)) == (1, True)


def test_a_clear_that_is_older_is_refused() -> None:
    """A person's wish that is not followed is not called stored; of what is cleared already, it is."""
    base = whole(1, 20, value=3)
    with pytest.raises(InvalidEventError, match="older_than_stored"):
        merge(base, *clear(2, 19, read_second=60))
    base[IS_DELETED] = 1
    assert merge(base, *clear(2, 19, read_second=60)) is None


@pytest.mark.parametrize("ahead_s", [1, 100, 301, 10**9])
def test_a_clear_wins_over_a_time_that_is_to_come(ahead_s: int) -> None:
    """Nothing can have been changed at a time that has not come."""
    base = whole(5, 20, value=3)
    base[UPDATED_AT] = NEW_YEAR_MS / 1000 + 60 + ahead_s
    row = merge(base, *clear(6, 10, read_second=60))
    assert row is not None
    assert row[IS_DELETED] == 1
    assert version(row) > version(base)


@pytest.mark.parametrize(
    ("ahead_s", "wins"), [(1, False), (300, False), (301, True), (10**9, True)]
)
def test_a_patch_wins_over_a_time_that_no_clock_explains(ahead_s: int, wins: bool) -> None:  # noqa: FBT001  # of a table
    """A row of the year 2099 from before such times were capped can be changed and cleared again."""
    base = whole(5, 20, value=3)
    base[UPDATED_AT] = NEW_YEAR_MS / 1000 + ahead_s
    if not wins:
        with pytest.raises(InvalidEventError, match="older_than_stored"):
            merge(base, *make(6, 0, value=-1))
        return
    row = merged(base, 6, 0, value=-1)
    assert (row[VALUE], version(row) > version(base)) == (-1, True)
    assert merge(row, *make(6, 0, value=-1)) == row  # read again, it is known by its place


def test_a_later_message_of_a_smaller_offset_wins_too() -> None:
    """After a clear under another key its partition's offsets say nothing: the version is raised."""
    base = whole(1000, 20, value=3)
    base[KAFKA_PARTITION] = 1
    row = merge(base, *clear(2, 20))
    assert row is not None
    assert version(row) > version(base)
    assert row[KAFKA_TOPIC:] == ["feedback.events", "topic-id", 0, 2]


@given(base=contents("xyz"), patch=contents("xyz"), seconds=st.tuples(*[st.integers(0, 3)] * 2))
def test_merging_twice_is_merging_once(
    base: dict[str, object], patch: dict[str, object], seconds: tuple[int, int]
) -> None:
    """The same patch at another place of the topic adds nothing the second time."""
    once = kept(whole(1, seconds[0], feedback=base), 2, seconds[1], feedback=patch)
    twice = kept(once, 3, seconds[1], feedback=patch)
    assert twice[:KAFKA_TOPIC] == once[:KAFKA_TOPIC]


@given(base=contents("xyz"), patch=contents("xyz"), value=st.none() | st.integers(1, 3))
def test_an_older_patch_changes_no_path_that_the_row_has(
    base: dict[str, object], patch: dict[str, object], value: int | None
) -> None:
    """Every leaf of the newer row is there afterwards, with its value."""
    row = whole(1, 20, value=5, feedback=base)
    after = kept(row, 2, 10, value=value, feedback=patch)
    assert leaves(row).items() <= leaves(after).items()
    assert after[VALUE] == 5


@given(base=contents("xyz"), patch=contents("xyz"))
def test_a_newer_patch_is_there_afterwards(
    base: dict[str, object], patch: dict[str, object]
) -> None:
    """Every leaf of the newer patch is in the row, with its value."""
    after = merged(whole(1, 10, feedback=base), 2, 20, feedback=patch)
    assert leaves(whole(2, 20, feedback=patch)).items() <= leaves(after).items()


@given(
    one=contents("abc"),
    other=contents("xyz"),
    seconds=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_patches_of_different_paths_commute(
    one: dict[str, object], other: dict[str, object], seconds: tuple[int, int, int]
) -> None:
    """Two patches that touch different keys give the same row in either order."""
    assume(seconds[1] != seconds[2])
    base = whole(1, seconds[0], value=1, feedback={"base": True})
    forth = merged(merged(base, 2, seconds[1], feedback=one), 3, seconds[2], feedback=other)
    back = merged(merged(base, 2, seconds[2], feedback=other), 3, seconds[1], feedback=one)
    assert forth == back
