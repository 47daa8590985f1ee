import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.problem import SearchTask
from nasbench.datasets.images import Images
from nasbench.evaluators.building import seeds_of_repeats
from nasbench.evaluators.recipe import RECIPES, Recipe
from nasbench.evaluators.train import TrainConfig, TrainEvaluator, cost_estimate
from nasbench.evaluators.training import accuracy, build, build_and_train, count_parameters
from nasbench.networks import device as settings
from nasbench.search_spaces.darts import Darts
from nasbench.search_spaces.nasbench201 import NasBench201
from tests.evaluators.small_networks import (
    PLAIN,
    SMALL_NET,
    Plain,
    Sized,
    TwoHeads,
    recipe,
)

QUICK = RECIPES["digits"].model_copy(update={"epochs": 4})


# -- sizes and fidelities --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("space", "overrides", "message"),
    [
        (Plain(), {"epoch": 2}, "Did you mean 'epochs'"),
        (Plain(), {"channels": 8}, "Allowed: batch_size, epochs"),
        (Sized(), {"cells": 3}, "Allowed: batch_size, channels, epochs"),
        (Plain(), {"epochs": 1.5}, "whole number"),
        (Plain(), {"batch_size": 0}, "whole number"),
        (Plain(), {"epochs": math.nan}, "whole number"),
        (Darts(), {"channels": 7}, "multiple of 2"),
    ],
)
def test_a_fidelity_that_does_not_exist_is_bad_input(
    few: SearchTask, space: DecisionSpace, overrides: dict[str, float], message: str
) -> None:
    architecture = space.sample(np.random.default_rng(0))
    with pytest.raises(BadInput, match=message):
        build_and_train(space, architecture, few, PLAIN, seed=0, overrides=overrides)
    with pytest.raises(BadInput, match=message):
        proposal = Proposal(architecture, fidelity=tuple(overrides.items()))
        TrainEvaluator(space, few, PLAIN).evaluate(proposal, id=0, seed=0)


def test_a_configuration_that_the_space_lacks_is_refused_at_once(few: SearchTask) -> None:
    with pytest.raises(BadInput, match="cells"):
        TrainEvaluator(Plain(), few, PLAIN, TrainConfig(cells=3))


def test_a_foreign_architecture_is_bad_input(few: SearchTask) -> None:
    with pytest.raises(BadInput, match="belongs to"):
        build_and_train(Plain(), Architecture("other", (16, 3, "relu")), few, PLAIN, seed=0)


def test_the_recipes_size_reaches_spaces_that_have_it(few: SearchTask) -> None:
    r = recipe(channels=6, cells=2)
    module = build(Sized(), Architecture("sized", ("relu",)), few, r, seed=0)
    assert isinstance(module, TwoHeads)
    assert module.body.out_features == 6
    build(Plain(), SMALL_NET, few, r, seed=0)  # has neither


def test_proposal_before_configuration_before_recipe(few: SearchTask) -> None:
    def metrics(r: Recipe, config: TrainConfig, *fidelity: tuple[str, float]) -> dict[str, float]:
        return TrainEvaluator(Plain(), few, r, config).evaluate(Proposal(SMALL_NET, fidelity), id=0, seed=4).metrics

    one = metrics(recipe(epochs=1), TrainConfig())
    assert metrics(PLAIN, TrainConfig(epochs=1)) == one
    assert metrics(PLAIN, TrainConfig(epochs=2), ("epochs", 1.0)) == one
    assert metrics(PLAIN, TrainConfig(epochs=2)) != one


# -- the evaluator ---------------------------------------------------------------------------------------------------
def test_it_is_an_evaluator_and_its_fingerprint_tells_what_matters(few: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), few, PLAIN)
    assert isinstance(evaluator, Evaluator)
    assert (evaluator.source, evaluator.version) == ("trained", 0)
    others = [
        TrainEvaluator(Plain(), few, recipe(epochs=5)),
        TrainEvaluator(Plain(), few, PLAIN, TrainConfig(epochs=5)),
        TrainEvaluator(Plain(), few, PLAIN, TrainConfig(repeats=2)),
        TrainEvaluator(Plain(), replace(few, fingerprint="another split"), PLAIN),
    ]
    assert len({evaluator.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert TrainEvaluator(Plain(), few, recipe(name="renamed")).fingerprint == evaluator.fingerprint


def test_digits_are_learnt_and_shuffled_labels_are_not(digits: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), digits, QUICK)
    scored = evaluator.evaluate(Proposal(SMALL_NET), id=3, seed=1)
    assert (scored.id, scored.seed, scored.source, scored.status) == (3, 1, "trained", "ok")
    assert scored.metrics.keys() == {"valid_accuracy", "train_loss", "parameters"}
    assert scored.metrics["valid_accuracy"] > 90
    assert scored.metrics["train_loss"] < 0.5
    assert scored.metrics["parameters"] == 16 * 9 + 16 + 32 + 16 * 16 * 9 + 16 + 32 + 64 * 10 + 10
    assert scored.seconds > 0

    order = torch.randperm(len(digits.validation), generator=torch.Generator().manual_seed(0))
    shuffled = Images(digits.validation.images, digits.validation.labels[order])
    control = TrainEvaluator(Plain(), replace(digits, validation=shuffled), QUICK)
    assert 5 < control.evaluate(Proposal(SMALL_NET), id=0, seed=1).metrics["valid_accuracy"] < 16


def test_repeats_are_averaged(few: SearchTask) -> None:
    single = TrainEvaluator(Plain(), few, PLAIN).evaluate(Proposal(SMALL_NET), id=0, seed=2)
    three = TrainEvaluator(Plain(), few, PLAIN, TrainConfig(repeats=3))
    averaged = three.evaluate(Proposal(SMALL_NET), id=0, seed=2)
    seeds = seeds_of_repeats(2, 3)
    assert seeds[0] == 2
    assert len(set(seeds)) == 3
    scores = []
    for seed in seeds:
        module, record = build_and_train(Plain(), SMALL_NET, few, PLAIN, seed)
        scores.append(accuracy(module, few.validation, record.mean_std))
    assert scores[0] == single.metrics["valid_accuracy"]
    assert averaged.metrics["valid_accuracy"] == pytest.approx(np.mean(scores))
    assert averaged.metrics["valid_accuracy_std"] == pytest.approx(np.std(scores, ddof=1))


PROGRAM = """
import torch
from nasbench.core.evaluation import Proposal
from nasbench.datasets.digits import read_digits
from nasbench.datasets.splits import make_task
from nasbench.evaluators.recipe import RECIPES
from nasbench.evaluators.train import TrainConfig, TrainEvaluator
from nasbench.search_spaces.darts import Darts
import numpy as np
torch.manual_seed({torch_seed})
torch.set_num_threads({threads})
task = make_task("digits", read_digits(), seed=0, validation=0.25, test=0.2).task.search
recipe = RECIPES["digits"].model_copy(update={{"drop_path": 0.2, "crop_padding": 1, "flip": True, "cutout": 2}})
evaluator = TrainEvaluator(Darts(), task, recipe, TrainConfig(epochs=1, cells=2))
scored = evaluator.evaluate(Proposal(Darts().sample(np.random.default_rng(0))), id=0, seed=9)
print(evaluator.fingerprint, sorted((key, value.hex()) for key, value in scored.metrics.items()))
"""


def test_a_fresh_process_gives_the_same_bits() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(torch_seed=torch_seed, threads=threads)],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed, torch_seed, threads in ((1, 0, 1), (2, 7, 2))
    ]
    answers = [process.communicate()[0] for process in processes]
    assert "valid_accuracy" in answers[0]
    assert answers[0] == answers[1]


def test_seeds_matter(few: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), few, PLAIN)
    losses = {evaluator.evaluate(Proposal(SMALL_NET), id=0, seed=s).metrics["train_loss"] for s in (0, 1, 1)}
    assert len(losses) == 2


@pytest.mark.parametrize("space", [Darts(), NasBench201()], ids=["darts", "nasbench201"])
def test_built_in_spaces_train(space: DecisionSpace, few: SearchTask) -> None:
    evaluator = TrainEvaluator(space, few, RECIPES["digits"], TrainConfig(epochs=2, batch_size=32))
    architecture = space.sample(np.random.default_rng(2))
    scored = evaluator.evaluate(Proposal(architecture, (("epochs", 1.0),)), id=0, seed=0)
    small = build(space, architecture, few, RECIPES["digits"], seed=0)
    assert scored.metrics["parameters"] == count_parameters(small)
    assert 0 < scored.metrics["train_loss"] < 5


def test_the_cost_estimate_grows_with_the_work(few: SearchTask) -> None:
    short = cost_estimate(Plain(), SMALL_NET, few, PLAIN, {"epochs": 1})
    long = cost_estimate(Plain(), SMALL_NET, few, PLAIN, {"epochs": 10_000})
    assert 0 < short < long / 100


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_a_seed_gives_the_same_result_twice(digits: SearchTask) -> None:
    evaluator = TrainEvaluator(Darts(), digits, RECIPES["digits"], TrainConfig(epochs=2))
    proposal = Proposal(Darts().sample(np.random.default_rng(0)))
    first, second = (evaluator.evaluate(proposal, id=0, seed=0).metrics for _ in range(2))
    assert first == second
    assert settings.device().type == "cuda"
