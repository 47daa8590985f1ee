import subprocess
import sys

import pytest
from pydantic import ValidationError

from nasbench.evaluators.recipe import RECIPES, Recipe, default_recipe

OTHER_VALUES = {
    "epochs": 7,
    "batch_size": 33,
    "learning_rate": 0.5,
    "learning_rate_end": 0.001,
    "momentum": 0.5,
    "nesterov": True,
    "weight_decay": 0.5,
    "schedule": "cosine per step",
    "warmup_epochs": 2.0,
    "label_smoothing": 0.3,
    "gradient_clip": None,
    "drop_path": 0.7,
    "auxiliary_weight": 0.9,
    "channels": None,
    "cells": None,
    "crop_padding": 1,
    "flip": False,
    "cutout": 3,
    "threads": 2,
    "validation": 0.3,
    "split_seed": 5,
    "final_data": "train",
}


def test_importing_recipes_does_not_import_torch() -> None:
    program = "import sys, nasbench.evaluators.recipe; print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_every_setting_is_part_of_the_fingerprint_and_the_name_is_not() -> None:
    assert OTHER_VALUES.keys() == Recipe.model_fields.keys() - {"name"}
    recipe = Recipe(name="a")
    assert recipe.fingerprint() == Recipe(name="b").fingerprint()
    prints = {Recipe(name="a", **{key: value}).fingerprint() for key, value in OTHER_VALUES.items()}
    assert len(prints | {recipe.fingerprint()}) == len(OTHER_VALUES) + 1


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert again == recipe
    assert again.fingerprint() == recipe.fingerprint()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": 3},
        {"epochs": 0},
        {"epochs": 5, "warmup_epochs": 5.0},
        {"learning_rate": 0.1, "learning_rate_end": 0.2},
        {"nesterov": True, "momentum": 0.0},
        {"validation": 1.0},
        {"final_data": "test"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({"name": "wrong", **wrong})


def test_recipes_are_known_by_their_own_names() -> None:
    assert {name: recipe.name for name, recipe in RECIPES.items()} == {name: name for name in RECIPES}
    assert {default_recipe(dataset) for dataset in ("digits", "cifar10", "./photos")} == {"digits", "small"}
    assert default_recipe("digits") == "digits"


def test_the_published_recipes() -> None:
    darts = RECIPES["darts"]  # Liu et al., ICLR 2019, appendix A.2.1
    assert (darts.epochs, darts.batch_size, darts.channels, darts.cells) == (600, 96, 36, 20)
    assert (darts.learning_rate, darts.momentum, darts.weight_decay) == (0.025, 0.9, 3e-4)
    assert (darts.cutout, darts.drop_path, darts.auxiliary_weight) == (16, 0.2, 0.4)
    bench = RECIPES["nasbench201"]  # Dong & Yang, ICLR 2020, table 1
    assert (bench.epochs, bench.batch_size, bench.channels, bench.cells) == (200, 256, 16, 5)
    assert (bench.learning_rate, bench.learning_rate_end, bench.nesterov, bench.weight_decay) == (0.1, 0.0, True, 5e-4)
    assert (bench.crop_padding, bench.flip, bench.cutout, bench.gradient_clip) == (4, True, 0, None)


def test_shortened_keeps_the_share_of_the_warm_up() -> None:
    short = Recipe(name="a", epochs=100, warmup_epochs=10.0).shortened(20)
    assert (short.epochs, short.warmup_epochs) == (20, 2.0)
