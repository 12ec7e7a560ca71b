"""How many examples a property test makes that asks ClickHouse for each of them.

    @on_services
    @given(...)
    def test_...

A quarter of what a test in memory makes, which is for the profile to say: see `tests/conftest.py`.
"""

from typing import Final

from hypothesis import HealthCheck, settings

on_services: Final = settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture
    ],  # each example empties it by itself
)
