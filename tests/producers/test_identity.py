"""Ids that are derived say again what they were derived from, and nothing else."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from afterword._identity import derived_id
from afterword_schemas.event import uuid7_ms


def test_a_derived_id_stays_what_it_is() -> None:
    """The id of a content is the same in every version, or an event sent again would count twice."""
    assert derived_id(1_769_851_800_125, "acme", "") == "019c1363-4a3d-7195-8106-c6fceecf2522"


@given(st.integers(0, 2**48 - 1), st.lists(st.text()))
def test_a_derived_id_is_a_uuid_of_version_7(time_ms: int, parts: list[str]) -> None:
    """Whatever the content, the id is in time order, and its time can be read."""
    derived = derived_id(time_ms, *parts)
    assert (UUID(derived).version, UUID(derived).variant) == (7, "specified in RFC 4122")
    assert uuid7_ms(derived) == time_ms


@given(st.lists(st.text("ab"), max_size=3), st.lists(st.text("ab"), max_size=3))
def test_different_contents_have_different_ids(one: list[str], other: list[str]) -> None:
    """Where one part ends and the next begins is content too."""
    assert (derived_id(0, *one) == derived_id(0, *other)) == (one == other)
