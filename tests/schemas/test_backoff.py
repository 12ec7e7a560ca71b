"""Pauses between tries stay within the bounds that the docstring names."""

from afterword_schemas.backoff import Backoff


def test_pauses_double_up_to_the_maximum_and_are_shortened_by_up_to_half() -> None:
    """The bounds of each pause are as documented, also after a year of failures."""
    backoff = Backoff(first_s=0.1, max_s=10.0)
    for failures, full_s in ((1, 0.1), (2, 0.2), (5, 1.6), (8, 10.0), (3_000_000, 10.0)):
        pauses = [backoff.pause_s(failures) for _ in range(100)]
        assert full_s / 2 <= min(pauses)
        assert max(pauses) <= full_s
        assert len(set(pauses)) > 1
