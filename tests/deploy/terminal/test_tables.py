"""Answers as tables, JSON and CSV, whatever the engine gives."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime

from afterword_consumers.query import (
    Answer,
    Cell,
    Column,
    Freshness,
    Kind,
    Question,
    Series,
    as_csv,
    as_json,
    compile_plan,
    parse,
)
from afterword_stack.terminal.tables import as_table, rows_of

MODEL = Column("group_1", Kind.TEXT, "metadata.model")
WEEK = Column("bucket", Kind.TIME, "week")
OTHER = Column("other_groups", Kind.COUNT, "groups")
N = Column("n", Kind.COUNT, "n")
AVG = Column("avg", Kind.NUMBER, "avg")
AVG_ENDS = (Column("avg_low", Kind.INTERVAL, "low"), Column("avg_high", Kind.INTERVAL, "high"))
TRUE = Column("true_percent", Kind.PERCENT, "true %")
TRUE_ENDS = (
    Column("true_percent_low", Kind.INTERVAL, "low"),
    Column("true_percent_high", Kind.INTERVAL, "high"),
)
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def series(columns: tuple[Column, ...], *rows: tuple[Cell, ...], note: str = "") -> Series:
    """Return a series of numbers."""
    statement = compile_plan(parse(Question("value"), NOW))[0]
    return Series(statement.series, columns, rows, statement, note)


def answered(*found: Series) -> Answer:
    """Return the answer with these series."""
    fresh = Freshness(NOW, 12, "The worker is behind, or stopped: 12 messages wait.")
    return Answer(
        parse(Question("value"), NOW), found, tuple(each.statement for each in found), fresh
    )


def test_an_interval_is_one_cell_behind_what_it_is_of() -> None:
    """In its unit: percent with one place, numbers with three digits, never with an exponent."""
    shares = series((TRUE, *TRUE_ENDS), (50.0, 9.45, 90.54), (100.0, 95.0, 100.0))
    assert as_table(answered(shares)).splitlines()[1:] == [
        " true %            95 %",
        " 50.0 %    9.4 … 90.5 %",
        "100.0 %  95.0 … 100.0 %",
    ]
    found = series((AVG, *AVG_ENDS), (17_900.5, 13_840.2, 21_960))
    assert rows_of(found) == [{"avg": 17_900.5, "95 %": "13,840 … 21,960"}]
    found = series((AVG, *AVG_ENDS), (0.907, 0.7686, 1.045))
    assert rows_of(found) == [{"avg": 0.907, "95 %": "0.77 … 1.04"}]


def test_an_interval_of_one_feedback_is_missing() -> None:
    """One value says nothing of its spread."""
    found = series((AVG, *AVG_ENDS), (2.5, None, None))
    assert rows_of(found) == [{"avg": 2.5, "95 %": None}]


def test_feedback_without_the_path_is_a_group_of_its_own() -> None:
    """Called missing, so that it is not taken for an empty text."""
    found = series((MODEL, N), (None, 3), ("", 1))
    assert [row["metadata.model"] for row in rows_of(found)] == ["(missing)", ""]


def test_a_group_that_is_called_like_another_column_is_told_apart() -> None:
    """Grouped by value, a text's values and the groups would share a name, and one would vanish."""
    group, value = Column("group_1", Kind.TEXT, "value"), Column("value", Kind.TEXT, "value")
    found = series((group, value, N), ("4", "aurora", 2))
    assert rows_of(found) == [{"value (group)": "4", "value": "aurora", "n": 2}]
    assert as_csv(answered(found)).splitlines()[0] == "type,value (group),value,n"


def test_how_many_groups_are_other_is_shown_only_where_some_are() -> None:
    """A column of noughts says nothing."""
    assert rows_of(series((MODEL, OTHER, N), ("a", 0, 3))) == [{"metadata.model": "a", "n": 3}]
    some = rows_of(series((MODEL, OTHER, N), ("a", 0, 3), ("other", 2, 1)))
    assert [row["groups"] for row in some] == [0, 2]


def test_every_series_has_a_title_with_its_note() -> None:
    """One path may hold numbers and texts."""
    text = as_table(answered(series((N,), (1,), note="approximate"), series((N,), (2,))))
    assert text == "value, number (approximate)\nn\n1\n\nvalue, number\nn\n2"


def test_json_is_whole_and_has_null_for_what_is_missing() -> None:
    """Nothing is rounded; text is not escaped beyond need."""
    found = json.loads(as_json(answered(series((MODEL, AVG), ("良い", 1 / 3), (None, None)))))
    assert found == {
        "measure": "value",
        "freshness": {
            "complete_until": "2026-01-31T00:00:00.000Z",
            "waiting": 12,
            "note": "The worker is behind, or stopped: 12 messages wait.",
        },
        "notice": None,
        "suggestions": [],
        "series": [
            {
                "type": "number",
                "columns": [
                    {"name": "group_1", "kind": "text", "label": "metadata.model"},
                    {"name": "avg", "kind": "number", "label": "avg"},
                ],
                "rows": [["良い", 1 / 3], [None, None]],
                "note": None,
            }
        ],
    }


def test_csv_names_groups_and_buckets_as_they_were_asked_for() -> None:
    """And quotes what needs quotes; a spreadsheet reads it back as it was."""
    text = as_csv(
        answered(series((WEEK, MODEL, AVG, *AVG_ENDS), ("2026-01-05", 'a,"b"\n', 2.5, 1, 4)))
    )
    assert list(csv.reader(io.StringIO(text))) == [
        ["type", "week", "metadata.model", "avg", "avg_low", "avg_high"],
        ["number", "2026-01-05", 'a,"b"\n', "2.5", "1", "4"],
    ]


def test_a_carriage_return_is_quoted_in_csv() -> None:
    """Alone it ends a line for spreadsheets."""
    assert as_csv(answered(series((MODEL, N), ("a\rb", 3)))) == (
        'type,metadata.model,n\nnumber,"a\rb",3'
    )


def test_csv_says_what_was_compared() -> None:
    """In columns of their own, behind the type."""
    question = Question("value", compare="prompt = 'v1', v2")
    text = as_csv(replace(answered(series((N,), (3,))), plan=parse(question, NOW)))
    assert text == "type,first,second,n\nnumber,v1,v2,3"


def test_a_title_says_no_word_twice() -> None:
    """Where the type is what was asked for."""
    question = Question("count")
    (statement,) = compile_plan(parse(question, NOW))
    counted = Series(statement.series, (N,), ((3,),), statement, "")
    found = replace(answered(counted), plan=parse(question, NOW))
    assert as_table(found).splitlines() == ["count", "n", "3"]


def test_a_comparison_reads_as_one_line() -> None:
    """Points have their sign and unit, a p-value three places, a mark stands only where it is due."""
    points = Column("difference", Kind.POINTS, "difference")
    ends = (
        Column("difference_low", Kind.INTERVAL, "low"),
        Column("difference_high", Kind.INTERVAL, "high"),
    )
    p, few = Column("p_value", Kind.PROBABILITY, "p"), Column("is_small", Kind.FLAG, "few")
    columns = (MODEL, points, *ends, p, few)
    found = series(columns, ("a", 20.04, 5.2, 33.4, 0.0004, False), ("b", -3, -9, 3, 0.21, True))
    assert as_table(answered(found)).splitlines()[1:] == [
        "metadata.model  difference           95 %        p  few",
        "a                 +20.0 pp  5.2 … 33.4 pp  < 0.001",
        "b                  -3.0 pp  -9.0 … 3.0 pp    0.210  few",
    ]
    assert "few" not in rows_of(series(columns, ("a", 1, 0, 2, 0.5, False)))[0]


def test_what_is_nearly_nothing_is_not_told_as_nothing() -> None:
    """A share that rounds to 0 says that it is more; a difference that does has no sign of its own."""
    assert rows_of(series((TRUE, *TRUE_ENDS), (0.015, 0.005, 0.04)))[0]["true %"] == "< 0.1 %"
    assert rows_of(series((TRUE, *TRUE_ENDS), (0, 0, 0.04)))[0]["true %"] == "0.0 %"
    points = Column("difference", Kind.POINTS, "difference")
    assert rows_of(series((points, *TRUE_ENDS), (-0.04, -1, 1)))[0]["difference"] == "+0.0 pp"
