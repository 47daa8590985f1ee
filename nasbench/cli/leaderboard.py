"""``nasbench leaderboard``: rank finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def leaderboard(
    paths: Annotated[
        list[str], typer.Argument(help="Run folders, or folders or URLs (s3://…) that hold runs at any depth.")
    ],
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the table as CSV.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write the table as Markdown.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with regrets, curves and comparisons over data sets.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Folder with the benchmark tables, for regrets.")
    ] = None,
) -> None:
    """Rank methods over runs of the same space, data set and recipe; what may not be compared says why."""
    import sys
    import tempfile

    from rich.console import Console

    from nasbench.core.errors import BadInput
    from nasbench.reports import leaderboard as board
    from nasbench.reports.fairness import cautions
    from nasbench.reports.leaderboard_anytime import add_anytime
    from nasbench.reports.leaderboard_page import to_json, write_page
    from nasbench.reports.remote_runs import brought_here

    with tempfile.TemporaryDirectory() as copies:
        folders = brought_here(paths, Path(copies))
        results, anytime = add_anytime(board.collect(folders), data_dir)
        table = board.leaderboard(results)
        warnings = [*table.warnings, *cautions(table, anytime, folders)]
    for warning in warnings:
        print(f"nasbench: warning: {warning}", file=sys.stderr)
    try:
        if csv is not None:
            board.write_csv(table, csv)
        if markdown is not None:
            markdown.write_text(board.to_markdown(table))
        if html is not None:
            write_page(table, anytime, warnings, html)
    except OSError as error:
        raise BadInput(f"cannot write {error.filename}: {error.strerror}.") from error
    if json:
        from nasbench.cli.console import print_json

        print_json(to_json(table, anytime, warnings))
    else:
        Console(highlight=False).print(board.to_text(table))
