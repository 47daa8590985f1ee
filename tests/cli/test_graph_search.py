"""``nasbench search`` for graph networks: from options to a model, on the karate club and on Cora."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("torch_geometric", reason="torch-geometric is not installed")

import nasbench
from nasbench.core.problem import Task
from nasbench.datasets import load
from nasbench.datasets.graphs import Nodes
from tests.cli.conftest import one_line

# Trainings of three epochs on the karate club.
GNN = [
    *("--space", "gnn", "--evaluations", "4", "--seeds", "2", "--baseline-size", "2"),
    *("--set", "recipe.epochs=3"),
]


def ledger(folder: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (Path(folder) / "evaluations.jsonl").read_text().splitlines()]
    return [record | {"seconds": 0} for record in records]


@pytest.mark.parametrize("evaluator", ["train-graphs", "shared-gnn"])
def test_without_torch_geometric_a_search_is_refused_before_its_folder_is_made(cli, monkeypatch, evaluator) -> None:
    monkeypatch.setitem(sys.modules, "nasbench.search_spaces.gnn_network", None)
    said = cli("search", *GNN, "--evaluator", evaluator, "--out", "run")
    one_line(said, 2, "pip install 'nasbench[graph]'")
    assert not Path("run").exists()


def test_a_search_ends_in_a_model_that_scores_as_reported(cli) -> None:
    said = cli("search", *GNN, "--json", "--out", "run")
    assert said.code == 0, said.err
    result = said.json
    assert (result["dataset"], result["evaluator"], result["strategy"]) == ("karate", "train-graphs", "evolution")
    stored = json.loads(Path("run/result.json").read_text())
    task, model = load.load_task("karate", data_dir=None), nasbench.load("run")
    assert not model.training and isinstance(task.test, Nodes)
    with torch.inference_mode():
        logits = model(task.test.graph.features, task.test.graph.edges)[task.test.index]
    correct = (logits.argmax(dim=1) == task.test.labels).float().mean().item()
    assert 100 * correct == pytest.approx(stored["final"]["test_accuracies"][0], abs=1e-4)
    report = Path("run/report.html").read_text()
    assert "karate" in report and "image" not in report.replace("image/svg", "").replace("image/png", "")
    again = cli("search", "--resume", "--out", "run", "--json")
    assert again.out == said.out


def test_a_network_is_scored_by_its_name(cli) -> None:
    said = cli("evaluate", "gat", *GNN, "--json")
    assert said.code == 0 and said.json["metrics"]["parameters"] == 34 * 64 + 2 * 64 + 64 + 64 * 2 + 4 + 2
    one_line(cli("evaluate", "gin", *GNN), 2, "cannot read the network 'gin'; expected a name (gcn, gat)")


@pytest.mark.parametrize("evaluator", ["train-graphs", "shared-gnn"])
def test_the_ledger_does_not_depend_on_the_test_labels(cli, monkeypatch, evaluator: str) -> None:
    options = [*GNN, "--evaluator", evaluator]
    assert cli("search", *options, "--out", "a").code == 0
    real = load.load_task_with_split

    def permuted(*arguments: Any, **given: Any) -> Any:
        loaded = real(*arguments, **given)
        test = loaded.task.test
        return type(loaded)(Task(loaded.task.search, Nodes(test.graph, test.index, test.labels.flip(0))), loaded.split)

    monkeypatch.setattr(load, "load_task_with_split", permuted)
    assert cli("search", *options, "--out", "b").code == 0
    assert ledger("a") == ledger("b")
    one, two = (json.loads((Path(run) / "result.json").read_text())["final"] for run in ("a", "b"))
    assert one["valid_accuracies"] == two["valid_accuracies"]


def test_a_poisoned_test_set_is_not_touched_by_a_search(cli, monkeypatch) -> None:
    class Poison:
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"the test data was read: {name}")

    real = load.load_task_with_split

    def poisoned(*arguments: Any, **options: Any) -> Any:
        loaded = real(*arguments, **options)
        return type(loaded)(Task(loaded.task.search, Poison()), loaded.split)

    monkeypatch.setattr(load, "load_task_with_split", poisoned)
    with pytest.raises(AssertionError, match="the test data was read"):
        cli("search", *GNN, "--set", "recipe.split_seed=3", "--out", "run")
    assert len(ledger("run")) == 4 and all("error" not in record for record in ledger("run"))


def test_a_search_with_shared_weights_goes_on_where_it_was_killed(cli) -> None:
    options = [*GNN, "--evaluator", "shared-gnn", "--set", "evaluator.epochs=2", "--evaluations", 8]
    options += ["--set", "population=3", "--set", "tournament=2"]
    assert cli("search", *options, "--out", "whole").code == 0
    assert cli("search", *options, "--out", "torn").code == 0
    lines = Path("torn/evaluations.jsonl").read_text().splitlines(keepends=True)
    Path("torn/evaluations.jsonl").write_text("".join(lines[:5]) + lines[5][:40])  # killed within a line
    Path("torn/result.json").unlink()
    said = cli("search", *options, "--out", "torn")
    assert said.code == 0, said.err
    assert ledger("torn") == ledger("whole")
    versions = [record.get("weights", 0) for record in ledger("whole")]
    assert versions == sorted(versions) and versions[-1] > 0
    assert all(record["source"] == "shared" for record in ledger("whole"))


def test_shared_and_trained_searches_are_never_ranked_together(cli) -> None:
    for evaluator in ("train-graphs", "shared-gnn"):
        options = [*GNN, "--evaluator", evaluator, "--evaluations", 2]
        assert cli("search", *options, "--out", f"runs/{evaluator}").code == 0
    said = cli("leaderboard", "runs", "--json")
    assert said.code == 0, said.err
    rows = said.json["rows"]
    assert len(rows) == 2
    apart = {row["source"] for row in rows if "fidelity differs" in (row["not_comparable"] or "")}
    assert len(apart) == 1 and apart < {"trained", "shared"}


def test_random_architectures_are_held_to_the_same_memory(cli) -> None:
    wide = [*GNN, "--strategy", "random", "--evaluations", 6, "--baseline-size", 6, "--set", "recipe.memory_gib=0.001"]
    said = cli("search", *wide, "--out", "run")
    assert said.code == 0, said.err
    result = json.loads(Path("run/result.json").read_text())
    reasons = [record["error"] for record in ledger("run") if record.get("error")]
    assert reasons and all("recipe.memory_gib allows 0.001" in reason for reason in reasons)
    assert any("recipe.memory_gib allows 0.001" in reason for reason in result["baseline"]["failures"])
    assert cli("search", *wide, "--dry-run").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["gnn", "--recipe", "digits"],
            "the recipe 'digits' is for images, and the networks of 'gnn' are trained on gr",
        ),
        (
            ["darts", "--recipe", "graph"],
            "the recipe 'graph' is for graphs, and the networks of 'darts' are trained on",
        ),
        (["gnn", "--dataset", "digits"], "for data of kind 'node' or 'graph', and 'digits' is of kind 'image'"),
        (["darts", "--dataset", "karate"], "for data of kind 'image', and 'karate' is of kind 'node'"),
        (["darts", "--dataset", "karate", "--strategy", "random"], "'image', and 'karate' is of kind 'node'"),
        (["gnn", "--evaluator", "shared"], "the evaluator 'shared' is for images"),
        (["darts", "--evaluator", "shared-gnn"], "the evaluator 'shared-gnn' is for graphs"),
        (["gnn", "--strategy", "sharpdarts"], "sharpdarts trains a supernet on images"),
        (["gnn", "--evaluator", "table"], "none for 'gnn'"),
        (["gnn", "--dataset", "karate@rondom"], "unknown split 'rondom'. Did you mean 'random'?"),
        (["gnn", "--evaluator", "shared-gnn", "--workers", 2], "works in one process, batch by batch"),
        (["gnn", "--evaluator", "shared-gnn", "--asynchronous"], "and not --asynchronous"),
    ],
)
def test_what_does_not_go_together_is_refused_before_a_folder_is_made(cli, options: list[Any], message: str) -> None:
    one_line(cli("search", "--space", *options, "--out", "run"), 2, message)
    assert not Path("run").exists()


OWN = '''
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SAGEConv

from nasbench import Choice, DecisionSpace


def friends(seed):
    """Two circles of 30 friends."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(60) % 2
    pairs = torch.randint(60, (2, 600), generator=generator)
    edges = pairs[:, label[pairs[0]] == label[pairs[1]]]
    return Data(x=torch.eye(60), edge_index=torch.cat([edges, edges.flip(0)], dim=1), y=label)


class Net(nn.Module):
    def __init__(self, conv, inputs, width, classes):
        super().__init__()
        self.first, self.second = conv(inputs, width), conv(width, classes)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


class Plain(DecisionSpace):
    name = "plain-gnn"
    decisions = (Choice("conv", ("gcn", "sage")), Choice("width", (4, 8, 16)))

    def build(self, a, task, size=None):
        pick = self.choices(a)
        return Net({"gcn": GCNConv, "sage": SAGEConv}[pick["conv"]], task.input_shape[0], pick["width"], task.classes)
'''


def test_a_users_own_graph_and_space_of_graph_networks(cli) -> None:
    Path("my_friends.py").write_text(OWN)
    own = ["--space", "my_friends:Plain", "--dataset", "my_friends:friends", *GNN[2:]]
    one_line(cli("search", *own[:4]), 2, "'my_friends:friends' is of kind 'node'; name one for it: --recipe graph or ")
    said = cli("search", *own, "--recipe", "graph-small", "--set", "recipe.selection=last", "--json", "--out", "run")
    assert said.code == 0, said.err
    assert said.json["architecture"].startswith("conv=")
    assert nasbench.load("run")(torch.eye(60), torch.tensor([[0], [1]])).shape == (60, 2)
    shared = [*own, "--recipe", "graph-small", "--evaluator", "shared-gnn"]
    one_line(cli("search", *shared), 2, "weights are shared between layers whose choices are known; 'plain-gnn' has")


def test_cora(cli, data: Path) -> None:
    if not list(data.rglob("ind.cora.x")):
        pytest.skip("Planetoid's files of Cora are not in NASBENCH_DATA")
    said = cli("search", *GNN[:-2], "--dataset", "Cora", "--set", "recipe.epochs=10", "--evaluations", 2, "--json")
    assert said.code == 0, said.err
    assert said.json["dataset"] == "cora" and said.json["metrics"]["test_accuracy"] > 5
    gcn = cli("evaluate", "gcn", "--space", "gnn", "--dataset", "cora", "--recipe", "gcn", "--seeds", 2, "--json")
    assert gcn.json["metrics"]["parameters"] == 23_063
    assert 79 < gcn.json["metrics"]["test_accuracy"] < 84
