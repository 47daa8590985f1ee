"""``nasbench leaderboard``: rank finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def leaderboard(
    paths: Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold runs at any depth.")],
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the table as CSV.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write the table as Markdown.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the rows as one JSON object on standard output.")] = False,
) -> None:
    """Rank methods over runs of the same space, data set and recipe; what may not be compared says why."""
    import sys

    from rich.console import Console

    from nasbench.core.errors import BadInput
    from nasbench.reports import leaderboard as board

    table = board.leaderboard(board.collect(paths))
    for warning in table.warnings:
        print(f"nasbench: warning: {warning}", file=sys.stderr)
    try:
        if csv is not None:
            board.write_csv(table, csv)
        if markdown is not None:
            markdown.write_text(board.to_markdown(table))
    except OSError as error:
        raise BadInput(f"cannot write {error.filename}: {error.strerror}.") from error
    if json:
        from nasbench.cli.console import print_json

        rows = table.frame.astype(object).where(table.frame.notna(), None)
        print_json({"rows": rows.to_dict(orient="records")})
    else:
        Console(highlight=False).print(board.to_text(table))
