"""``nasbench search``: one search, final evaluation, verdict, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasbench.cli.options import Address, Cpus, Gpus, RunOptions, Timeout, with_run_options

if TYPE_CHECKING:
    from nasbench.experiments.assemble import Parts


@with_run_options
def search(
    options: RunOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the configuration and the estimated cost.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print how many seeds would show which gain, and their cost; run nothing.")
    ] = False,
    asynchronous: Annotated[
        bool, typer.Option("--asynchronous", help="Never wait for the slowest candidate of a batch.")
    ] = False,
    address: Annotated[str | None, Address] = None,
    cpus_per_worker: Annotated[float, Cpus] = 1.0,
    gpus_per_worker: Annotated[float | None, Gpus] = None,
    timeout_per_evaluation: Annotated[float | None, Timeout] = None,
) -> None:
    """Search an architecture and say whether searching helped.

    Without options: a complete small search of DARTS cells on scikit-learn's digits, by real training.
    """
    from nasbench.cli.console import ConsoleReporter, print_json
    from nasbench.core.errors import BadInput
    from nasbench.distributed.cluster import Workers
    from nasbench.experiments.folders import default_out
    from nasbench.experiments.result import summary
    from nasbench.experiments.search import run_search

    if plan and dry_run:
        raise BadInput("--plan and --dry-run answer different questions; give one of them.")
    parts = options.parts()
    if plan:
        _print_plan(parts, options.json)
        return
    folder = options.out or default_out(parts.complete_config)
    if dry_run:
        _print_configuration(parts, folder, options.json)
        return
    count = options.workers if address is None else options.workers or None
    workers = Workers(count, cpus_per_worker, gpus_per_worker, address, asynchronous, timeout_per_evaluation)
    result = run_search(parts, folder, ConsoleReporter(), workers=workers)
    if options.json:
        print_json(summary(result))
    else:
        print_result(result, folder)


def print_result(result: dict[str, Any], folder: Path) -> None:
    """Print what a person wants to know, the verdict last."""
    from nasbench.cli.console import print_table

    metrics, baseline, improvement = result["metrics"], result["baseline"], result["relative_improvement"]
    trainings = len(result["final"]["test_accuracies"])
    mean_of = f" (mean of {trainings})" if trainings > 1 else ""
    rows = [
        ("found", result["architecture"]),
        ("validation accuracy", _number(metrics["valid_accuracy"], ".2f", " %")),
        ("test accuracy", _number(metrics["test_accuracy"], ".2f", f" %{mean_of}")),
        ("parameters", _number(metrics["parameters"], ",.0f")),
    ]
    if baseline is not None:
        spread = "" if baseline["std"] is None else f" ± {baseline['std']:.2f}"
        rows.append(
            ("average random architecture", f"{baseline['mean']:.2f}{spread} % ({baseline['n']:,} of them)"),
        )
    if result["random_search"]["mean"] is not None:
        search = result["random_search"]
        rows.append(("random search, same cost", f"{search['mean']:.2f} ± {search['std']:.2f} %"))
    interval = ""
    if improvement["low"] is not None:
        interval = f" [{improvement['low']:+.2f}, {improvement['high']:+.2f}]"
    p_value = "" if improvement["p_value"] is None else f", p = {improvement['p_value']:.3g}"
    if improvement["value"] is not None:
        rows.append(("relative improvement", f"{improvement['value']:+.2f} %{interval}{p_value}"))
    rows += [
        (
            "evaluations",
            f"{result['evaluations']} ({result['unique_evaluations']} different, {result['failed']} failed)",
        ),
        ("seconds", f"{result['seconds']:.1f}"),
        ("report", str(folder / "report.html")),
    ]
    if result.get("front"):
        rows.insert(1, ("objectives", ", ".join(result["objectives"])))
        rows.insert(2, ("front", f"{len(result['front'])} architectures, hypervolume {result['hypervolume']:.6g}"))
    if result.get("predictor"):
        known = result["predictor"]
        skill = f"Kendall's tau {known['kendall']:.2f} (each of {known['architectures']} left out once)"
        rows.insert(-3, (f"skill of {known['name']}", skill))
    print_table(f"{result['identity']['method']} on {result['space']}, {result['dataset']}", rows)
    for note in result.get("notes", []):
        typer.echo(f"Note: {note}")
    typer.echo(f"Verdict: {result['verdict_sentence']}")


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:{form}}{unit}"


def _print_plan(parts: Parts, as_json: bool) -> None:
    from nasbench.cli.console import print_json, print_table
    from nasbench.experiments.plan import in_words, plan

    found = plan(parts)
    if as_json:
        print_json(found)
        return
    unit = "points" if found["unit"] == "points" else "standard deviations"

    def cost(row: dict[str, Any]) -> str:
        return "more than anyone will pay for" if row["seeds"] is None else in_words(row["seconds"], found["on_gpu"])

    gains = [(f"{row['seeds']} seeds", f"{row['gain']:.2f} {unit}, {cost(row)}") for row in found["smallest_gain"]]
    needs = [
        (f"a gain of {row['gain']:g} {unit}", f"{row['seeds'] or 'too many'} seeds, {cost(row)}")
        for row in found["seeds_needed"]
    ]
    by_rank = [
        (f"beats {row['percentile']:.0f} %", f"{row['seeds']} seeds, {cost(row)}")
        for row in found["seeds_needed_by_rank"]
    ]
    share = f"{100 * found['power']:.0f} %"
    print_table(f"smallest gain seen with a probability of {share}", gains)
    print_table(f"seeds that see a gain with a probability of {share}", needs)
    if by_rank:
        print_table("seeds by the share of random searches that are beaten", by_rank)
    typer.echo(f"Gains are over {found['gain_over']}.")
    typer.echo(f"Standard deviation: {found['std_source']}")
    typer.echo(f"One seed costs {in_words(found['seconds_per_seed'], found['on_gpu'])}.")


def _print_configuration(parts: Parts, folder: Path, as_json: bool) -> None:
    from nasbench.cli.console import print_json, print_table
    from nasbench.experiments.cost import estimate

    plan = parts.config.model_dump(mode="json")
    cost = estimate(parts)
    if as_json:
        print_json({"config": plan, "cost": cost, "run": str(folder)})
        return
    rows = []
    for key, value in plan.items():
        if isinstance(value, dict):
            if "settings" in value:
                rows.append((key, value["name"]))
                value = value["settings"]
            rows += [(f"{key}.{name}", str(item)) for name, item in value.items()]
        elif value is not None:
            rows.append((key, str(value)))
    print_table("configuration", [*rows, ("run", str(folder))])
    print_table("estimated cost", [(name.replace("_", " "), f"{value:,.1f}") for name, value in cost.items()])
