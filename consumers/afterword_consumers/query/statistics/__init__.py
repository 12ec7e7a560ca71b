"""Intervals and tests in plain Python, from what ClickHouse counts and sums.

Nothing here knows SQL, a database or a question.
"""
