"""Weights shared between homogeneous layers: which are the same, which are never shared, and what a kill leaves."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
import torch

pytest.importorskip("torch_geometric", reason="torch-geometric is not installed")

from nasbench.core.abilities import Absorbing, Stateful
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.datasets.load import load_task
from nasbench.distributed.cluster import Workers
from nasbench.distributed.workers import worker_pool
from nasbench.evaluators.graph_recipe import GRAPH_RECIPES
from nasbench.evaluators.graph_training import build
from nasbench.evaluators.shared_gnn import SharedGnnConfig, SharedGnnEvaluator, layer_key, shared_weights
from nasbench.networks.graph_layer_choices import GraphLayerChoices
from nasbench.search_spaces.gnn import Gnn
from nasbench.search_spaces.gnn_network import GnnLayer

SPACE = Gnn(skip=True)
RECIPE = GRAPH_RECIPES["graph-small"]
GAT = SPACE.named("gat")
GAT_MLP = SPACE.parse("gat sum mlp elu 8x8 | gat sum identity linear 1")  # homogeneous to GAT in both layers
OTHER = SPACE.parse("cos max skip relu 2x16 | gcn sum mlp tanh 1")


@pytest.fixture(scope="module")
def karate() -> SearchTask:
    return load_task("karate", data_dir=None).search


def evaluator_on(task: SearchTask, **settings: Any) -> SharedGnnEvaluator:
    return SharedGnnEvaluator(SPACE, task, RECIPE, SharedGnnConfig(**{"epochs": 2, **settings}))


def evaluated(evaluator: SharedGnnEvaluator, *architectures: Architecture, first: int = 0) -> list[Evaluation]:
    """Score a batch; seeds depend on positions."""
    return [evaluator.evaluate(Proposal(a), id=id, seed=100 + id) for id, a in enumerate(architectures, start=first)]


def same_bank(one: SharedGnnEvaluator, other: SharedGnnEvaluator) -> bool:
    return one.bank.keys() == other.bank.keys() and all(
        layer.keys() == other.bank[key].keys()
        and all(torch.equal(layer[name], other.bank[key][name]) for name in layer)
        for key, layer in one.bank.items()
    )


def test_keys_are_equal_exactly_if_shapes_attention_aggregation_and_activation_are() -> None:
    names = product(("const", "gat", "gene-linear"), ("sum", "max"), ("identity", "mlp", "skip"), ("relu", "elu"))
    sizes = [(1, 4, 6, False), (2, 4, 6, False), (4, 2, 6, False), (2, 4, 8, False), (2, 4, 6, True)]
    layers = [GnnLayer(GraphLayerChoices(*four, *size)) for four, size in product(names, sizes)]

    def what_matters(layer: Any) -> Any:
        c = layer.choices
        shapes = {name: tuple(weights.shape) for name, weights in shared_weights(layer).items()}
        return shapes, c.attention, c.aggregation, c.activation

    for one, other in combinations(layers, 2):
        assert (layer_key(1, one) == layer_key(1, other)) == (what_matters(one) == what_matters(other))
    assert layer_key(1, layers[0]) != layer_key(2, layers[0])


def test_weights_of_combining_are_never_in_the_bank(karate: SearchTask) -> None:
    evaluator = evaluator_on(karate, epochs=1)
    evaluator.absorb(evaluated(evaluator, OTHER, GAT_MLP, *(SPACE.sample(generator(n, "bank")) for n in range(4))))
    stored = {name for layer in evaluator.bank.values() for name in layer}
    assert stored >= {"weight", "bias", "target", "source"}
    assert not any(name.startswith(("mlp_", "skip_")) for name in stored)


def test_a_child_begins_from_the_bank_where_it_matches_and_from_fresh_weights_elsewhere(karate: SearchTask) -> None:
    evaluator = evaluator_on(karate)
    evaluator.absorb(evaluated(evaluator, GAT))
    half = SPACE.parse("gat sum mlp elu 8x8 | cos sum identity linear 1")
    fresh, child = (build(SPACE, half, karate, RECIPE, 7) for _ in range(2))
    assert evaluator._fill(child) == 1
    (kept,) = [layer for key, layer in evaluator.bank.items() if key == evaluator._layers(child)[0][0]]
    for name, weights in child.named_parameters():
        begins = dict(fresh.named_parameters())[name]
        expected = kept[name.split(".")[-1]] if name.split(".")[-1] in kept and "layers.0." in name else begins
        assert torch.equal(weights, expected), name


def test_a_child_without_a_match_equals_one_of_an_empty_bank(karate: SearchTask) -> None:
    evaluator, empty = evaluator_on(karate), evaluator_on(karate)
    evaluator.absorb(evaluated(evaluator, GAT))
    (one,), (other,) = evaluated(evaluator, OTHER, first=5), evaluated(empty, OTHER, first=5)
    assert one.metrics == other.metrics and one.metrics["shared_layers"] == 0
    assert (one.weights, other.weights, one.source) == (evaluator.version, 0, "shared") and evaluator.version > 0


def test_within_a_batch_all_see_the_bank_from_before(karate: SearchTask) -> None:
    evaluator, alone = evaluator_on(karate), evaluator_on(karate)
    batch = evaluated(evaluator, GAT, GAT_MLP)
    assert evaluator.version == 0 and not evaluator.bank
    assert batch[1].metrics == alone.evaluate(batch[1].proposal, id=9, seed=batch[1].seed).metrics
    evaluator.absorb(batch)
    (later,) = evaluated(evaluator, GAT_MLP, first=2)
    assert later.metrics["shared_layers"] == 2 and batch[1].metrics["shared_layers"] == 0


def test_evaluations_of_an_earlier_process_give_the_same_bank(karate: SearchTask) -> None:
    first, second = evaluator_on(karate), evaluator_on(karate)
    for start in (0, 2):
        batch = evaluated(first, GAT, GAT_MLP, first=start)
        first.absorb(batch)
        second.absorb(batch)  # which never saw the networks
    assert same_bank(first, second) and first.version == second.version > 0


def test_failures_and_repetitions_leave_the_bank_alone(karate: SearchTask) -> None:
    evaluator = evaluator_on(karate)
    failed = Evaluation(0, Proposal(GAT), {}, "shared", 1, "failed", "why", 0.0)
    (done,) = evaluated(evaluator, OTHER, first=1)
    evaluator.absorb([failed, done._replace(id=2, reuses=1)])
    assert not evaluator.bank and evaluator.version == 0


def test_state_goes_on_where_it_was(karate: SearchTask) -> None:
    evaluator, other = evaluator_on(karate), evaluator_on(karate)
    assert isinstance(evaluator, Absorbing) and isinstance(evaluator, Stateful)
    evaluator.absorb(evaluated(evaluator, GAT, OTHER))
    other.load_state_dict(evaluator.state_dict())
    assert same_bank(evaluator, other) and other.version == evaluator.version
    for one in (evaluator, other):
        one.absorb(evaluated(one, GAT_MLP, first=2))
    assert same_bank(evaluator, other) and evaluator.state_dict()["scores"] == other.state_dict()["scores"]


@pytest.mark.parametrize(("write", "changes"), [("better", False), ("always", True)])
def test_a_worse_child_writes_only_if_told_to(karate: SearchTask, write: str, changes: bool) -> None:
    evaluator = evaluator_on(karate, write=write)
    evaluator.absorb(evaluated(evaluator, GAT))
    evaluator._scores = dict.fromkeys(evaluator._scores, 101.0)
    before, version = evaluator.state_dict(), evaluator.version
    evaluator.absorb(evaluated(evaluator, GAT_MLP, first=1))
    assert (evaluator.version > version) == changes
    pairs = [(layer["weight"], evaluator.bank[key]["weight"]) for key, layer in before["bank"].items()]
    assert all(torch.equal(*pair) for pair in pairs) != changes


def test_without_a_bank_nothing_is_shared_or_kept(karate: SearchTask) -> None:
    evaluator = evaluator_on(karate, bank=False)
    for start in (0, 1):
        batch = evaluated(evaluator, GAT, first=start)
        evaluator.absorb(batch)
        assert batch[0].metrics["shared_layers"] == 0
    assert not evaluator.bank and evaluator.version == 0


def test_what_does_not_go_is_refused(karate: SearchTask) -> None:
    evaluator = evaluator_on(karate)
    with pytest.raises(BadInput, match="has no fidelities"):
        evaluator.evaluate(Proposal(GAT, fidelity=(("epochs", 3.0),)), id=0, seed=0)
    refused = pytest.raises(BadInput, match="works in one process, batch by batch: --workers 0")
    with refused, worker_pool(evaluator, Workers(2)):
        pass
