"""The end of a search: the trained network in the run's folder, and `load`, which gives it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nasbench.catalog import SPACES, look_for_modules_in, resolve
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask
from nasbench.core.run_directory import read_json
from nasbench.core.search_space import SearchSpace
from nasbench.core.state import write_atomically, write_json
from nasbench.evaluators import graph_training, training
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.recipe import Recipe
from nasbench.evaluators.recipes import AnyRecipe
from nasbench.experiments.config import Part
from nasbench.experiments.folders import folder_of_run
from nasbench.networks.normalise import Normalise

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


def save_model(
    folder: Path,
    network: nn.Module,
    mean_std: tuple[Tensor, Tensor] | None,
    space: Part,
    architecture: Architecture,
    task: SearchTask,
    recipe: AnyRecipe,
) -> None:
    """Write a trained network, with its input normalisation if it has one: weights, and what it takes to build it."""
    from safetensors.torch import save

    model = network if mean_std is None else nn.Sequential(Normalise(*mean_std), network)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors))
    description = {
        "space": space.model_dump(mode="json"),
        "architecture": architecture.to_json(),
        "input_shape": task.input_shape,
        "classes": task.classes,
        "kind": task.kind,
        "dataset": task.name,
        "recipe": recipe.model_dump(mode="json"),
    }
    write_json(folder / DESCRIPTION, description)


def load(run: str | Path) -> nn.Module:
    """Return the final network of a run as an ``nn.Module`` in evaluation mode, on the CPU.

    One for images takes them [batch, channels, height, width], uint8 or floating point between 0 and 1, and returns
    logits [batch, classes]: the input normalisation is inside. One for graphs takes features [nodes, features] and
    edges int64 [2, edges], as the space's ``build`` tells. Raises BadInput if the run has no trained network.
    """
    from safetensors.torch import load_file

    folder = Path(run)
    if not (folder / WEIGHTS).exists():
        finished = (folder / "result.json").exists()
        on_table = finished and read_json(folder / "result.json").get("evaluator") == "table"
        reason = "its scores were looked up in a table" if on_table else "none was trained to the end"
        raise BadInput(f"{folder} holds no trained network: {reason}.")
    description = read_json(folder / DESCRIPTION)
    look_for_modules_in(folder_of_run(folder))
    part = Part.model_validate(description["space"])
    target = resolve("space", part.name, SPACES)
    space: SearchSpace = target(**part.settings) if isinstance(target, type) else target
    shape, classes = tuple(description["input_shape"]), description["classes"]
    kind = description.get("kind", "image")
    task = SearchTask(description["dataset"], kind, shape, classes, None, None, "")
    architecture, recipe = Architecture.from_json(description["architecture"]), recipe_of(description)
    model: nn.Module
    if isinstance(recipe, GraphRecipe):
        model = graph_training.build(space, architecture, task, recipe, seed=0)
    else:
        zeros = torch.zeros(shape[0])
        model = nn.Sequential(Normalise(zeros, zeros + 1), training.build(space, architecture, task, recipe, seed=0))
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval()


def recipe_of(description: dict[str, Any]) -> AnyRecipe:
    """Return the recipe that a model description holds."""
    model = Recipe if description.get("kind", "image") == "image" else GraphRecipe
    return model.model_validate(description["recipe"])
