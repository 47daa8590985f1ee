"""``nasbench list``: what there is to choose from."""

from __future__ import annotations

from typing import Annotated

import typer


def list_names(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List spaces, strategies with their keys, evaluators, recipes and data sets."""
    import inspect

    from nasbench.catalog import EVALUATORS, SPACES, STRATEGIES, resolve
    from nasbench.cli.console import print_json, print_table
    from nasbench.datasets.load import describe
    from nasbench.evaluators.recipe import RECIPES
    from nasbench.experiments.config import config_model

    def first_line(kind: str, name: str, table: dict[str, str]) -> str:
        target = resolve(kind, name, table)
        model = config_model(target)
        keys = ", ".join(f"{key}={field.default}" for key, field in model.model_fields.items()) if model else ""
        return (inspect.getdoc(target) or "").splitlines()[0] + (f" Keys: {keys}." if keys else "")

    groups = {
        "spaces": {name: first_line("space", name, SPACES) for name in SPACES},
        "strategies": {name: first_line("strategy", name, STRATEGIES) for name in STRATEGIES},
        "evaluators": {
            "table": "Looks scores up in a benchmark table that others trained. Keys: latency.",
            "train": "Trains the stand-alone network by a recipe. Keys: epochs, batch_size, channels, cells, repeats.",
        },
        "recipes": {
            name: f"{r.epochs} epochs, batch {r.batch_size}, {r.channels} channels, {r.cells} cells"
            for name, r in RECIPES.items()
        },
        "data sets": describe(),
    }
    assert groups["evaluators"].keys() == EVALUATORS.keys()
    if json:
        print_json(groups)
        return
    for title, names in groups.items():
        print_table(title, list(names.items()))
