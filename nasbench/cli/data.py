"""``nasbench data``: what data there is, and how to bring more in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Import and verify benchmark tables and data sets.")

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder to look in or to import into.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@app.command("list")
def list_data(data_dir: DataDir = None, json: Json = False) -> None:
    """List the benchmark tables and data sets, where each lies, and how to get what is missing."""
    from nasbench.cli.console import print_json, print_table
    from nasbench.experiments.data import inventory

    rows = inventory(data_dir)
    if json:
        print_json(rows)
    else:
        print_table("data", [(name, row["path"] or f"missing; {row['how']}") for name, row in rows.items()])


@app.command("verify")
def verify(data_dir: DataDir = None, json: Json = False) -> None:
    """Check the benchmark tables that are at hand: rows, cells, ranges, final and search scores not swapped."""
    from nasbench.cli.console import print_json, print_table
    from nasbench.experiments.data import verify_tables

    facts = verify_tables(data_dir)
    if json:
        print_json(facts)
    else:
        for name, row in facts.items():
            print_table(name, [(key, str(value)) for key, value in row.items()])


@app.command("import")
def import_data(
    source: Annotated[
        str,
        typer.Argument(
            help="A NATS-Bench topology folder (needs the extra nats-bench), a CSV table of NAS-Bench-201, NASLib's "
            "nb201_….pickle, NAS-Bench-Macro's JSON file, the folder of the Once-for-All CSV files, "
            "a folder of Planetoid's files ind.cora.*, ind.citeseer.* or ind.pubmed.*, "
            "nasbench-graph (from its package; needs the extra graph), cifar10 or cifar100."
        ),
    ],
    data_dir: DataDir = None,
) -> None:
    """Convert a benchmark's original files, or download a data set with its checksum, into the data folder."""
    from nasbench.cli.console import ConsoleReporter
    from nasbench.experiments.data import import_source

    typer.echo(str(import_source(source, data_dir, ConsoleReporter())))
