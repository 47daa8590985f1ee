"""``nasbench evaluate``: score one architecture under the protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from nasbench.cli.options import RunOptions, with_run_options


@with_run_options
def evaluate(
    options: RunOptions,
    architecture: Annotated[str, typer.Argument(help="The architecture in its space's notation.")],
) -> None:
    """Train (or look up) one architecture as a search's final evaluation does, and test it.

    With --out the trained network is kept there. Options about searching have no effect here.
    """
    from nasbench.cli.console import ConsoleReporter, print_json, print_table
    from nasbench.experiments.evaluate import evaluate_architecture

    result = evaluate_architecture(
        options.config(), architecture, options.out, options.data_folder(), ConsoleReporter()
    )
    if options.json:
        print_json(result)
        return
    rows = [(name, "unknown" if value is None else f"{value:,.4g}") for name, value in result["metrics"].items()]
    print_table(f"{result['architecture']} on {result['dataset']}", [*rows, ("seconds", f"{result['seconds']:.1f}")])
