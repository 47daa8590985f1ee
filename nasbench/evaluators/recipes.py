"""All recipes by name, those for images and those for graphs. Importing this file does not import torch."""

from __future__ import annotations

from nasbench.evaluators.graph_recipe import GRAPH_RECIPES, GraphRecipe
from nasbench.evaluators.recipe import RECIPES, Recipe
from nasbench.evaluators.recipe import default_recipe as default_image_recipe

AnyRecipe = Recipe | GraphRecipe
ALL_RECIPES: dict[str, AnyRecipe] = {**RECIPES, **GRAPH_RECIPES}


def default_recipe(dataset: str, on_graphs: bool) -> str:
    """Return the name of the recipe used for a data set when none is named."""
    if on_graphs:
        return "graph-small" if dataset.partition("@")[0] == "karate" else "graph"
    return default_image_recipe(dataset)


def recipes_for(on_graphs: bool) -> list[str]:
    """Return the names of the recipes for graphs, or of those for images."""
    return [name for name, recipe in ALL_RECIPES.items() if isinstance(recipe, GraphRecipe) == on_graphs]
