"""``nasbench sweep``: many searches, resumable, on this machine or a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, echo

from nasbench.cli.options import Address, Cpus, Gpus, Timeout

if TYPE_CHECKING:
    from nasbench.experiments.sweep import Tally
    from nasbench.experiments.sweep_plan import Plan

List = "names separated by commas"


def sweep(
    file: Annotated[Path | None, Argument(help="YAML file; its keys are these options, with underscores.")] = None,
    spaces: Annotated[str | None, Option(help=f"Search spaces: {List}.")] = None,
    strategies: Annotated[str | None, Option(help=f"Search strategies: {List}.")] = None,
    datasets: Annotated[str | None, Option(help=f"Data sets: {List}.")] = None,
    evaluator: Annotated[str | None, Option(help="How candidates are scored: train, table, or module:Name.")] = None,
    recipe: Annotated[str | None, Option(help="Named training recipe; see 'nasbench list'.")] = None,
    seeds: Annotated[str | None, Option(help="Seeds of the searches: 0:10 is 0 to 9; or 3, or 1,5,7.")] = None,
    evaluations: Annotated[int | None, Option(help="Budget of each search: number of candidates to score.")] = None,
    time: Annotated[float | None, Option(help="Budget of each search: seconds.")] = None,
    final_seeds: Annotated[int | None, Option(help="Number of final trainings of one architecture.")] = None,
    baseline_size: Annotated[int | None, Option(help="Number of random architectures trained for comparison.")] = None,
    objective: Annotated[list[str] | None, Option(help="What to optimise, as in 'nasbench search'.")] = None,
    constraint: Annotated[
        list[str] | None, Option(help="A bound on what is measured, as in 'nasbench search'.")
    ] = None,
    set: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="A key of whichever part has it.")
    ] = None,
    out: Annotated[str | None, Option(help="Folder of all runs, or a URL that fsspec knows (s3://…).")] = None,
    data_dir: Annotated[Path | None, Option(help="Folder of benchmark tables and data sets.")] = None,
    workers: Annotated[int | None, Option(min=0, help="Searches at the same time; 0 and 1: in this process.")] = None,
    address: Annotated[str | None, Address] = None,
    cpus_per_worker: Annotated[float | None, Cpus] = None,
    gpus_per_worker: Annotated[float | None, Gpus] = None,
    timeout_per_evaluation: Annotated[float | None, Timeout] = None,
    retries: Annotated[int | None, Option(min=0, help="How often a search is begun again whose worker died.")] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="List the searches and what does not fit.")] = False,
    json: Annotated[bool, Option("--json", help="Print the outcome as one JSON object on standard output.")] = False,
) -> None:
    """Search every fitting pair of space, data set and strategy with every seed; the same command goes on.

    Pairs that do not fit are listed and skipped. Each search is an ordinary run folder: rank them with
    'nasbench leaderboard', draw one with 'nasbench show'.
    """
    options = dict(locals())
    from nasbench.cli.console import ConsoleReporter
    from nasbench.experiments.sweep import run_sweep
    from nasbench.experiments.sweep_config import read_sweep
    from nasbench.experiments.sweep_plan import make_plan

    own = {key: value for key, value in options.items() if key not in ("file", "dry_run", "json")}
    config = read_sweep(file, own)
    reporter, plan = ConsoleReporter(), make_plan(config)
    for space, dataset, strategy, reason in plan.skipped:
        reporter.note(f"skipped: {strategy} on {space}, {dataset}: {reason}")
    if dry_run:
        _print_plan(plan, json)
        return
    tally = run_sweep(plan, config, reporter)
    _print_outcome(tally, plan, str(config.out), json)
    if tally.failed or tally.stopped:
        raise Exit(1)


def _print_plan(plan: Plan, as_json: bool) -> None:
    from nasbench.cli.console import print_json, print_table

    if as_json:
        print_json(plan.to_json())
        return
    rows = [(group.folder, f"{len(group.seeds)} seeds") for group in plan.groups]
    print_table(f"{len(plan)} searches", rows)


def _print_outcome(tally: Tally, plan: Plan, out: str, as_json: bool) -> None:
    from nasbench.cli.console import ConsoleReporter, print_json

    if as_json:
        print_json(_outcome(tally, plan, out))
    reporter = ConsoleReporter()
    for cell, reason in tally.failures:
        reporter.note(f"failed: {cell}: {reason}")
    if tally.failed > len(tally.failures):
        reporter.note(f"… and {tally.failed - len(tally.failures)} more, in {out}/failures.jsonl")
    if tally.stopped:
        reporter.note(f"stopped with {tally.left} cells left: {tally.stopped}; the same command goes on")
    if not as_json:
        succeeded = tally.cells - tally.failed - tally.left
        echo(f"{succeeded} of {tally.cells} searches are in {out}, {tally.failed} failed, {tally.seconds:.1f} s.")
        echo(f"nasbench leaderboard {out}")


def _outcome(tally: Tally, plan: Plan, out: str) -> dict[str, Any]:
    return {
        "out": out,
        "cells": tally.cells,
        "finished_before": tally.finished_before,
        "done": tally.done,
        "failed": tally.failed,
        "left": tally.left,
        "retries": tally.retries,
        "seconds": tally.seconds,
        "stopped": tally.stopped,
        "failures": [{"cell": cell, "reason": reason} for cell, reason in tally.failures],
        "skipped": [pair._asdict() for pair in plan.skipped],
    }
