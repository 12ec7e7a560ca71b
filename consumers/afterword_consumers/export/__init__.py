"""Feedback as files: events to publish again, tables for analysts, preference pairs for training.

    from afterword_consumers.export import export_events, parse_selection

    with open("acme.jsonl", "wb") as file:
        for piece in export_events(parse_selection(now, project="acme"), database):
            file.write(piece.data)

Each is one reading of ClickHouse, streamed: the memory it takes does not grow with what is exported.
"""

from afterword_consumers.export.events import export_events
from afterword_consumers.export.pair_query import PairPaths, count_candidates
from afterword_consumers.export.pairs import PairCounts, Skipped, export_pairs
from afterword_consumers.export.pieces import Piece
from afterword_consumers.export.selection import (
    StreamingDatabase,
    count,
    explain_empty,
    explain_missing,
    parse_selection,
)
from afterword_consumers.export.tables import export_csv, export_parquet

__all__ = [
    "PairCounts",
    "PairPaths",
    "Piece",
    "Skipped",
    "StreamingDatabase",
    "count",
    "count_candidates",
    "explain_empty",
    "explain_missing",
    "export_csv",
    "export_events",
    "export_pairs",
    "export_parquet",
    "parse_selection",
]
