"""Options that several commands have in common: which feedback they look at."""

from typing import Annotated

import typer

Project = Annotated[str | None, typer.Option("--project", "-p", help="Only this project.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", metavar="EXPR", help="'metadata.model = gpt-5'; repeat for and."),
]
Since = Annotated[str | None, typer.Option("--since", help="7d, 24h, a date, or a time.")]
Until = Annotated[str | None, typer.Option("--until", help="As --since; itself not included.")]
Timeout = Annotated[
    int | None,
    typer.Option(
        "--timeout", min=1, metavar="SECONDS", help="How long to wait for an answer of ClickHouse."
    ),
]
Spreadsheet = Annotated[
    bool,
    typer.Option("--spreadsheet", help="CSV that a spreadsheet opens safely: it runs no formulas."),
]
Timezone = Annotated[str, typer.Option("--timezone", help="Where days begin, as Europe/Berlin.")]
