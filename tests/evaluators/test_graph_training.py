"""Training on graphs: which epoch's weights are kept, what a seed decides, and what does not fit into memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("torch_geometric", reason="torch-geometric is not installed")

from nasbench.core.errors import BadInput, Diverged, TooLarge
from nasbench.core.evaluation import Proposal
from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.datasets.graphs import Graph, Nodes
from nasbench.datasets.load import load_task
from nasbench.evaluators.graph_memory import bytes_of_a_step, networks_that_fit
from nasbench.evaluators.graph_recipe import GRAPH_RECIPES, GraphRecipe
from nasbench.evaluators.graph_training import build_and_train, cost_estimate, train_stack
from nasbench.evaluators.train_graphs import GraphTrainConfig, GraphTrainEvaluator
from nasbench.networks.graph_layers import Dropout
from nasbench.search_spaces.gnn import Gnn

GRAPH = Graph(torch.ones(4, 1), torch.zeros(2, 0, dtype=torch.int64))
PART = Nodes(GRAPH, torch.arange(4), torch.zeros(4, dtype=torch.int64))
NO_DROPOUT = Dropout(0.0, 0.0, 0)
FEW = GRAPH_RECIPES["graph-small"].shortened(4)


class Scripted:
    """Networks whose validation goes as written: (right nodes of 4, size of the logits) at every look."""

    def __init__(self, *courses: list[tuple[int, float]]) -> None:
        self.networks = list(courses)
        self.remembered: dict[int, int] = {}
        self.looks, self.steps, self.written = 0, 0, False
        self._weight = torch.zeros(1, requires_grad=True)

    def weights(self) -> tuple[list[Tensor], list[Tensor]]:
        return [self._weight], []

    def logits(self, data: Any, dropout: Dropout | None) -> Tensor:
        if dropout is not None:
            self.steps += 1
            return self._weight.expand(len(self.networks), 4, 2)
        self.looks += 1
        looks = []
        for course in self.networks:
            right, size = course[self.looks - 1]
            first = torch.where(torch.arange(4) < right, size, -size)
            looks.append(torch.stack([first, -first], dim=1))
        return torch.stack(looks)

    def remember(self, number: int) -> None:
        self.remembered[number] = self.steps

    def write(self, *, remembered: bool) -> None:
        self.written = remembered


def trained(recipe: GraphRecipe, *courses: list[tuple[int, float]]) -> tuple[Scripted, list[Any]]:
    stack = Scripted(*courses)
    return stack, train_stack(stack, PART, PART, recipe, NO_DROPOUT)


def recipe_of(**changes: Any) -> GraphRecipe:
    return GraphRecipe(name="test", **{"epochs": 4, "evaluate_every": 1, **changes})


def test_the_best_epoch_is_that_of_the_best_accuracy_then_of_the_lowest_loss_then_the_first() -> None:
    accuracy = [(2, 1.0), (3, 1.0), (1, 1.0), (2, 1.0)]
    wrong_ones_less_sure = [(3, 2.0), (3, 0.5), (3, 2.0), (3, 0.5)]  # of 3 right ones, smaller logits lose less
    stack, records = trained(recipe_of(), accuracy, wrong_ones_less_sure)
    assert [record.epoch for record in records] == [2, 2] and stack.remembered == {0: 2, 1: 2} and stack.written
    assert [record.valid_accuracy for record in records] == [75.0, 75.0]
    assert records[0].last_valid_accuracy == 50.0 and records[0].epochs == 4
    assert records[1].valid_loss < records[1].course[0][2]
    assert [point[0] for point in records[0].course] == [1, 2, 3, 4]


def test_selection_last_keeps_the_last() -> None:
    stack, (record,) = trained(recipe_of(selection="last"), [(4, 1.0), (3, 1.0), (2, 1.0), (1, 1.0)])
    assert record.epoch == 4 and record.valid_accuracy == 25.0 and not stack.remembered and not stack.written


def test_validation_is_looked_at_every_so_many_epochs_and_at_the_end() -> None:
    stack, (record,) = trained(recipe_of(epochs=7, evaluate_every=3), [(1, 1.0), (2, 1.0), (3, 1.0)])
    assert [point[0] for point in record.course] == [3, 6, 7] and stack.steps == 7 and record.epoch == 7


def test_patience_counts_looks_without_an_accuracy_or_a_loss_as_good() -> None:
    course = [(2, 0.5), (1, 1.0), (1, 1.0), (4, 1.0), (4, 1.0)]
    stack, (record,) = trained(recipe_of(epochs=5, patience=2), course)
    assert (stack.steps, record.epochs, record.epoch) == (3, 3, 1)
    _, (patient,) = trained(recipe_of(epochs=5, patience=3), course)
    assert (patient.epochs, patient.epoch) == (5, 4)
    better = [(2, 1.0), (2, 1.0), (2, 1.0), (2, 1.0), (2, 1.0)]
    stack, records = trained(recipe_of(epochs=5, patience=2), course, better)  # one that goes on keeps all going
    assert stack.steps == 5 and records[0].epoch == 1, "what ran out of patience is not looked at again"


@pytest.fixture(scope="module")
def karate() -> SearchTask:
    return load_task("karate", data_dir=None).search


def score(task: SearchTask, seed: int, **settings: Any) -> dict[str, float]:
    evaluator = GraphTrainEvaluator(Gnn(), task, FEW, GraphTrainConfig(**settings))
    return evaluator.evaluate(Proposal(Gnn().named("gat")), id=0, seed=seed).metrics


IN_ANOTHER_PROCESS = """
from tests.evaluators.test_graph_training import load_task, score
print(repr(score(load_task("karate", data_dir=None).search, 1)))
"""


def test_the_same_seed_gives_the_same_bits_here_and_in_another_process(karate: SearchTask) -> None:
    first = score(karate, 1)
    assert score(karate, 1) == first
    said = subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS], capture_output=True, text=True, check=True)
    assert eval(said.stdout) == first
    assert score(karate, 2)["train_loss"] != first["train_loss"]


def test_repeats_are_averaged_and_their_spread_is_told(karate: SearchTask) -> None:
    metrics = score(karate, 1, repeats=3)
    assert metrics == score(karate, 1, repeats=3)
    assert metrics["valid_accuracy_std"] >= 0 and metrics["parameters"] == score(karate, 1)["parameters"]
    assert "valid_accuracy_std" not in score(karate, 1)


def test_seeds_trained_side_by_side_score_like_seeds_trained_alone(karate: SearchTask) -> None:
    space, recipe = Gnn(), GRAPH_RECIPES["graph-small"]
    together = build_and_train(space, space.named("gcn"), karate, recipe, [0, 1, 2])
    alone = [build_and_train(space, space.named("gcn"), karate, recipe, [seed])[0] for seed in range(3)]
    means = [statistics.fmean(record.valid_accuracy for _, record in found) for found in (together, alone)]
    assert min(means) > 65 and abs(means[0] - means[1]) < 20
    weights = [network.layers[0].weight for network, _ in together]
    assert not torch.equal(weights[0], weights[1])


def test_a_training_that_diverges_says_so(karate: SearchTask) -> None:
    recipe = FEW.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(Diverged, match="the loss was"):
        build_and_train(Gnn(), Gnn().named("gcn"), karate, recipe, [0])


def test_the_number_of_epochs_is_the_one_fidelity(karate: SearchTask) -> None:
    evaluator = GraphTrainEvaluator(Gnn(), karate, FEW)
    gat = Gnn().named("gat")
    short = evaluator.evaluate(Proposal(gat, fidelity=(("epochs", 2.0),)), id=0, seed=1)
    fewer = GraphTrainEvaluator(Gnn(), karate, FEW, GraphTrainConfig(epochs=2))
    assert short.metrics == fewer.evaluate(Proposal(gat), id=0, seed=1).metrics
    assert fewer.fingerprint != evaluator.fingerprint
    for key, value in (("channels", 2.0), ("epochs", 1.5), ("epochs", 0.0)):
        with pytest.raises(BadInput, match=key):
            evaluator.evaluate(Proposal(gat, fidelity=((key, value),)), id=0, seed=1)
    assert cost_estimate(Gnn(), gat, karate, FEW) > 0


def test_what_a_network_takes_is_told_from_its_layers() -> None:
    space = Gnn()
    plain, largest, both = (
        space.layer_choices(space.parse(text), 100, 5)
        for text in (
            "gat sum identity elu 16x256 | gcn sum identity linear 1",
            "gat max identity elu 16x256 | gcn sum identity linear 1",
            "gene-linear max identity elu 16x256 | gcn sum identity linear 1",
        )
    )
    last = 5 * (1000 + 4096)
    assert bytes_of_a_step(plain, 1000, 9000) == 24 * (4096 * 1100 + last)
    assert bytes_of_a_step(largest, 1000, 9000) == 24 * (4096 * 10_100 + last)
    assert bytes_of_a_step(both, 1000, 9000) == 24 * (4096 * 19_100 + last)


def test_what_takes_too_much_memory_is_refused_before_it_is_built(karate: SearchTask) -> None:
    space, narrow = Gnn(), Gnn().named("gcn")
    wide = space.parse("gene-linear max identity elu 16x256 | gcn sum identity linear 1")
    recipe = FEW.model_copy(update={"memory_gib": 0.01})

    def unbuilt(*arguments: Any) -> Any:
        raise AssertionError("it was built")

    space.build = unbuilt  # type: ignore[method-assign]
    with pytest.raises(TooLarge, match=r"about 0\.0\d+ GiB, and recipe\.memory_gib allows 0\.01"):
        build_and_train(space, wide, karate, recipe, [0])
    fitting = networks_that_fit(space, narrow, karate, 0.01)
    assert fitting > networks_that_fit(space, narrow, karate, 0.005) > 1


def test_seeds_that_do_not_fit_side_by_side_are_trained_in_groups(karate: SearchTask) -> None:
    space = Gnn()
    choices = space.layer_choices(space.named("gcn"), 34, 2)
    edges = karate.train.graph.edges.shape[1] + 34
    two = 2.1 * bytes_of_a_step(choices, 34, edges) / 2**30
    recipe = FEW.model_copy(update={"memory_gib": two})
    found = build_and_train(space, space.named("gcn"), karate, recipe, [0, 1, 2])
    expected = [
        *build_and_train(space, space.named("gcn"), karate, FEW, [0, 1]),
        *build_and_train(space, space.named("gcn"), karate, FEW, [2]),
    ]
    assert [record.course for _, record in found] == [record.course for _, record in expected]


def test_every_sampled_architecture_trains(karate: SearchTask) -> None:
    for space in (Gnn(skip=True), Gnn(variant="graphnas"), Gnn(layers=3)):
        evaluator = GraphTrainEvaluator(space, karate, FEW.shortened(1))
        for number in range(3):
            proposal = Proposal(space.sample(generator(number, "sampled")))
            assert 0 <= evaluator.evaluate(proposal, id=0, seed=number).metrics["valid_accuracy"] <= 100
