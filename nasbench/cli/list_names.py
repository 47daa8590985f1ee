"""``nasbench list``: what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel


def list_names(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List spaces, strategies with their keys, evaluators, recipes and data sets."""
    import inspect

    from nasbench.catalog import EVALUATORS, SPACES, STRATEGIES, resolve
    from nasbench.cli.console import print_json, print_table
    from nasbench.datasets.load import describe
    from nasbench.evaluators.graph_recipe import GRAPH_RECIPES
    from nasbench.evaluators.recipe import RECIPES
    from nasbench.experiments.config import config_model

    def first_line(kind: str, name: str, table: dict[str, str]) -> str:
        target = resolve(kind, name, table)
        keys = keys_of(config_model(target))
        return (inspect.getdoc(target) or "").splitlines()[0] + (f" Keys: {keys}." if keys else "")

    def keys_of(model: type[BaseModel] | None) -> str:
        if model is None:
            return ""
        # A variant of another strategy has settings derived from that one's: only what differs is listed.
        original = next((base for base in reversed(model.__mro__[1:]) if base in owners), None)
        known = {} if original is None else defaults_of(original)
        changed = [f"{key}={value}" for key, value in defaults_of(model).items() if value != known.get(key, ...)]
        return ", ".join([*([f"those of {owners[original]}"] if original else []), *changed])

    def defaults_of(model: type[BaseModel]) -> dict[str, Any]:
        return {key: field.default for key, field in model.model_fields.items()}

    owners: dict[type, str] = {}
    for name in STRATEGIES:
        settings = config_model(resolve("strategy", name, STRATEGIES))
        if settings is not None and settings.model_fields:
            owners.setdefault(settings, name)

    groups = {
        "spaces": {name: first_line("space", name, SPACES) for name in SPACES},
        "strategies": {name: first_line("strategy", name, STRATEGIES) for name in STRATEGIES},
        "evaluators": {
            "shared": "Scores with the weights that an architecture has in the run's supernet. Keys: batch_size.",
            "shared-gnn": "Trains a graph network for a few epochs from weights of earlier ones. "
            "Keys: epochs, bank, write.",
            "table": "Looks scores up in a benchmark table that others trained. Keys: latency, shuffle.",
            "train": "Trains a network by a recipe. Keys: epochs, batch_size, channels, cells, repeats, macs.",
            "train-graphs": "Trains a network on a graph, or on graphs, by a recipe. Keys: epochs, repeats.",
        },
        "recipes": {
            name: f"{r.epochs} epochs, batch {r.batch_size}, {r.channels} channels, {r.cells} cells"
            for name, r in RECIPES.items()
        }
        | {
            name: f"graphs: at most {r.epochs} epochs, dropout {r.dropout:g}, selection by {r.selection} epoch"
            for name, r in GRAPH_RECIPES.items()
        },
        "data sets": describe(),
    }
    assert groups["evaluators"].keys() == EVALUATORS.keys()
    if json:
        print_json(groups)
        return
    for title, names in groups.items():
        print_table(title, list(names.items()))
