"""The catalogue of paths: each new path once, again after ten minutes, and in bounded memory."""

from afterword_consumers.ingest.path_index import REFRESH_MS, PathIndex, PathSeen
from afterword_schemas import flatten

LEAVES = flatten({"feedback": {"rating": True, "score": 0.5, "comment": "x" * 200}})
AT_MS = 1_767_225_600_000


def test_a_path_is_told_once_with_type_and_example() -> None:
    """The first event shows three paths, the same again shows none; a long example is cut."""
    catalogue = PathIndex()
    assert catalogue.observe("acme", LEAVES, AT_MS) == [
        PathSeen("acme", "feedback.rating", "boolean", AT_MS, "true"),
        PathSeen("acme", "feedback.score", "number", AT_MS, "0.5"),
        PathSeen("acme", "feedback.comment", "string", AT_MS, "x" * 79 + "…"),
    ]
    assert catalogue.observe("acme", LEAVES, AT_MS + 1) == []


def test_another_type_or_project_is_another_entry() -> None:
    """A path that was a boolean and is text now is told again, and so is another tenant's."""
    catalogue = PathIndex()
    catalogue.observe("acme", LEAVES, AT_MS)
    text = flatten({"feedback": {"rating": "good"}})
    assert catalogue.observe("acme", text, AT_MS) == [
        PathSeen("acme", "feedback.rating", "string", AT_MS, "good")
    ]
    assert len(catalogue.observe("other", LEAVES, AT_MS)) == 3


def test_a_path_in_use_is_told_again_after_a_while() -> None:
    """Past the refresh time every path in use is written again, which moves `last_seen` on."""
    catalogue = PathIndex()
    catalogue.observe("acme", LEAVES, AT_MS)
    assert catalogue.observe("acme", LEAVES, AT_MS + REFRESH_MS) == []
    assert len(catalogue.observe("acme", LEAVES, AT_MS + REFRESH_MS + 1)) == 3


def test_endless_new_paths_do_not_fill_the_memory() -> None:
    """Keys made of ids are forgotten together when they are too many, and told again."""
    catalogue = PathIndex()
    told = 0
    for number in range(300):
        many = flatten({"feedback": {f"k{number}-{n}": n for n in range(1000)}})
        told += len(catalogue.observe("acme", many, AT_MS))
    assert told == 300_000
    assert sum(len(seen) for seen in catalogue._seen.values()) <= 201_000
    assert len(catalogue.observe("acme", LEAVES, AT_MS)) == 3


def test_a_value_is_told_like_a_path() -> None:
    """Once a project, as a number, and again past the refresh time; no value tells nothing."""
    catalogue = PathIndex()
    told = PathSeen("acme", "value", "number", AT_MS, "-3")
    assert told not in catalogue.observe("acme", LEAVES, AT_MS)
    assert catalogue.observe("acme", LEAVES, AT_MS, -3.0) == [told]
    assert catalogue.observe("acme", LEAVES, AT_MS, 5) == []
    later = catalogue.observe("acme", LEAVES, AT_MS + REFRESH_MS + 1, 5)
    assert [each.path for each in later if each.path == "value"] == ["value"]
