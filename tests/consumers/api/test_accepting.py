"""The `Accept` header: what a client likes best of what there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_consumers.api.accepting import choose

JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV", CSV),
        ("text/*", CSV),
        ("text/csv;q=0.9, application/json", JSON),
        ("text/csv, application/json;q=0.9", CSV),
        ("text/csv, application/json", JSON),
        ("text/csv; header=present; q=1.0, */*;q=0.1", CSV),
        ("application/json;q=0, */*", CSV),
        ("text/csv;q=0, text/*, application/json;q=0", None),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("text/cvs", None),
        ("text/html", None),
        ("application/json;q=0", None),
        ("text/csv;q=nonsense", None),
        (" , ,text/csv", CSV),
    ],
)
def test_the_best_liked_form_is_chosen(accept: str, chosen: str | None) -> None:
    """By quality, the more specific range first, JSON where both are as good."""
    assert choose(accept, [JSON, CSV]) == chosen


@given(st.text(max_size=80))
def test_any_text_gives_a_form_or_none(accept: str) -> None:
    """A header that is none of HTTP's breaks nothing."""
    assert choose(accept, [JSON, CSV]) in {JSON, CSV, None}
