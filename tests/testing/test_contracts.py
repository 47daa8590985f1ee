"""The contract checks: every built-in passes them, and each deliberately broken class is caught, its fault named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nasbench.catalog import EVALUATORS, SPACES, STRATEGIES, resolve
from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.evaluators.recipe import Recipe
from nasbench.evaluators.shared import SharedEvaluator
from nasbench.evaluators.table import TableEvaluator
from nasbench.evaluators.train import TrainEvaluator
from nasbench.experiments.config import needs_shared_weights
from nasbench.networks.shared_weights import SharedWeights
from nasbench.search_spaces.darts import OPERATIONS, Darts, DartsSize
from nasbench.search_spaces.gnn import GnnSize
from nasbench.search_spaces.hypercuboid import HyperCuboidSize
from nasbench.search_spaces.nasbench201 import NasBench201, NasBench201Size
from nasbench.search_spaces.nasbench_graph import NasBenchGraphSize
from nasbench.search_spaces.nasbench_macro import NasBenchMacroSize
from nasbench.search_spaces.ofa_mobilenetv3 import OfaMobileNetV3Size
from nasbench.strategies.random import RandomSearch
from nasbench.tables.nasbench201 import load
from nasbench.testing import ContractBroken, check_evaluator, check_space, check_strategy
from tests.evaluators.small_networks import random_images

# Every built-in space in all its variants, with a small size for its networks.
VARIANTS: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "darts": [({"operations": name}, DartsSize(channels=4, cells=3)) for name in OPERATIONS],
    "gnn": [
        ({}, GnnSize()),
        ({"variant": "graphnas", "layers": 1}, GnnSize(dropout=0)),
        ({"layers": 3, "skip": True, "linear_reads": "both"}, None),
    ],
    "hypercuboid": [({"layers": 2, "widths": (4, 8)}, HyperCuboidSize(features=16))],
    "nasbench-graph": [({}, NasBenchGraphSize(width=4))],
    "nasbench-graph-proteins": [({}, NasBenchGraphSize(width=4, before=1, after=1))],
    "nasbench-macro": [({}, NasBenchMacroSize(width=4, features=16))],
    "nasbench201": [({}, NasBench201Size(channels=4, cells=1))],
    "ofa-mobilenetv3": [({}, OfaMobileNetV3Size(width=0.1))],
}
TINY = Recipe(
    name="tiny",
    epochs=1,
    batch_size=16,
    drop_path=0.0,
    auxiliary_weight=0.0,
    channels=2,
    cells=1,
    crop_padding=1,
    cutout=0,
)


PIXELS = (3, 8, 8)
SMALL_TASK = SearchTask(
    "pixels", "image", PIXELS, 4, random_images(32, PIXELS, 4, 0), random_images(32, PIXELS, 4, 1), "pixels"
)


def trains_supernet(name: str) -> bool:
    """Whether a strategy needs weights to share; tests/strategies/differentiable holds those to their contract."""
    return needs_shared_weights(resolve("strategy", name, STRATEGIES))


def some(space: DecisionSpace, count: int) -> list[Architecture]:
    rng = generator(0, "contracts")
    return [space.sample(rng) for _ in range(count)]


# -- what the package brings along -----------------------------------------------------------------------------------
def test_no_built_in_is_forgotten_here() -> None:
    assert VARIANTS.keys() == SPACES.keys()
    assert {"shared", "shared-gnn", "table", "train", "train-graphs"} == EVALUATORS.keys()


@pytest.mark.parametrize(
    ("name", "settings", "size"),
    [(name, *variant) for name, variants in VARIANTS.items() for variant in variants],
    ids=[
        f"{name} {' '.join(map(str, settings.values()))}"
        for name, variants in VARIANTS.items()
        for settings, _ in variants
    ],
)
def test_every_space_keeps_the_contract(name: str, settings: dict[str, Any], size: Any) -> None:
    check_space(resolve("space", name, SPACES)(**settings), size=size)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", [name for name in STRATEGIES if not trains_supernet(name)])
def test_every_strategy_keeps_the_contract_on_every_space(name: str, space: str) -> None:
    evaluations = 16 if name == "optuna" else 30  # its own tests take it further, on few spaces: it is slow
    check_strategy(
        resolve("strategy", name, STRATEGIES), space=resolve("space", space, SPACES)(), evaluations=evaluations
    )


def test_the_table_evaluator_keeps_the_contract(table) -> None:
    space = NasBench201()
    config = TableEvaluator.Config(latency="raspi4")
    check_evaluator(TableEvaluator(space, load("cifar100", table), config, table), some(space, 30))


@pytest.mark.parametrize("space", [NasBench201(), Darts("sharper")], ids=lambda space: space.name)
def test_the_training_evaluator_keeps_the_contract(space: DecisionSpace) -> None:
    check_evaluator(TrainEvaluator(space, SMALL_TASK, TINY), some(space, 3))


@pytest.mark.parametrize(
    ("space", "size"),
    [(NasBench201(), NasBench201Size(channels=2, cells=1)), (Darts(), DartsSize(channels=2, cells=1))],
    ids=["nasbench201", "darts"],
)
def test_the_shared_evaluator_keeps_the_contract(space: Any, size: Any) -> None:
    shared = SharedWeights(space.relax(SMALL_TASK, size))
    shared.version = 4
    check_evaluator(SharedEvaluator(space, SMALL_TASK, TINY, None, shared), some(space, 3))


# -- broken spaces ---------------------------------------------------------------------------------------------------
class Plain(DecisionSpace):
    """A space without fault: the broken ones below differ from it in one method each."""

    name = "plain"
    decisions = (Choice("width", (2, 4, 8)), Choice("act", ("relu", "gelu")), Choice("bias", (True, False)))

    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        pick, inputs = self.choices(architecture), int(np.prod(task.input_shape))
        act = {"relu": nn.ReLU, "gelu": nn.GELU}[pick["act"]]
        hidden = nn.Linear(inputs, pick["width"], bias=pick["bias"])
        return nn.Sequential(nn.Flatten(), hidden, act(), nn.Linear(pick["width"], task.classes))


class GlobalNumpy(Plain):
    def sample(self, rng: np.random.Generator) -> Architecture:
        return Architecture(self.name, tuple(c.values[np.random.randint(len(c.values))] for c in self.decisions))  # noqa: NPY002


class GlobalRandomInMutate(Plain):
    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        return self.change(architecture, random.randrange(len(self.decisions)), rng)


class OwnGenerator(Plain):
    def __init__(self) -> None:
        self._own = np.random.default_rng(0)

    def sample(self, rng: np.random.Generator) -> Architecture:
        return super().sample(self._own)


class WrongName(Plain):
    def sample(self, rng: np.random.Generator) -> Architecture:
        return Architecture("other", super().sample(rng).spec)


class MutatesNothing(Plain):
    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        return architecture


class RestlessCanonical(Plain):
    def canonical(self, architecture: Architecture) -> Architecture:
        width, *rest = architecture.spec
        return Architecture(self.name, ({2: 4, 4: 8, 8: 2}[width], *rest))


class ForgetfulFormat(Plain):
    def format(self, architecture: Architecture) -> str:
        return super().format(architecture).partition(", bias")[0]

    def parse(self, text: str) -> Architecture:
        return super().parse(f"{text}, bias=True")


class Gullible(Plain):
    def parse(self, text: str) -> Architecture:
        try:
            return super().parse(text)
        except BadInput:
            return Architecture(self.name, (2, "relu", True))


class OwnNeighbor(Plain):
    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        return [*super().neighbors(architecture), architecture]


class UnlabelledGraph(Plain):
    def graph(self, architecture: Architecture) -> Any:
        graph = super().graph(architecture)
        graph.nodes[0].clear()
        return graph


class UnseededBuild(Plain):
    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        network = super().build(architecture, task, size)
        own = torch.Generator()
        own.seed()
        with torch.no_grad():
            network[1].weight.normal_(generator=own)
        return network


class OneClassTooMany(Plain):
    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(task.input_shape)), task.classes + 1))


class Frozen(Plain):
    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        class Constant(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.unused = nn.Parameter(torch.zeros(1))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.zeros(len(x), task.classes, requires_grad=True)

        return Constant()


class NotFinite(Plain):
    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        network = super().build(architecture, task, size)
        network[3].bias.data.fill_(torch.inf)
        return network


BROKEN_SPACES = [
    (GlobalNumpy, "global random generator"),
    (GlobalRandomInMutate, "global random generator"),
    (OwnGenerator, "the same generator gave another architecture"),
    (WrongName, "it must be the space's name"),
    (MutatesNothing, "mutate returned the same architecture"),
    (RestlessCanonical, "canonical of canonical is something else"),
    (ForgetfulFormat, "format and parse do not undo each other"),
    (Gullible, "the text '' was accepted"),
    (OwnNeighbor, "neighbors contains the architecture itself"),
    (UnlabelledGraph, "without the attribute 'op'"),
    (UnseededBuild, "build ignores torch's seed"),
    (OneClassTooMany, r"returns \(2, 11\), not \(2, 10\)"),
    (Frozen, "no weight gets a gradient"),
    (NotFinite, "not finite"),
]


def test_the_space_that_the_broken_ones_vary_is_not_broken() -> None:
    check_space(Plain())


@pytest.mark.parametrize(("space", "fault"), BROKEN_SPACES, ids=[space.__name__ for space, _ in BROKEN_SPACES])
def test_a_broken_space_is_caught(space: type[DecisionSpace], fault: str) -> None:
    with pytest.raises(ContractBroken, match=fault):
        check_space(space())


# -- broken strategies -----------------------------------------------------------------------------------------------
class ForgetsItsGenerator(RandomSearch):
    def state_dict(self) -> dict[str, Any]:
        return {"best": super().state_dict()["best"]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best.load_state_dict(state["best"])


class RecommendsTheLast(RandomSearch):
    last: Architecture | None = None

    def tell(self, evaluations) -> None:
        super().tell(evaluations)
        self.last = evaluations[-1].architecture

    def recommend(self, k: int = 1) -> list[Architecture]:
        return [] if self.last is None else [self.last]


class RecommendsNothing(RandomSearch):
    def recommend(self, k: int = 1) -> list[Architecture]:
        return []


class RecommendsUnasked(RandomSearch):
    def recommend(self, k: int = 1) -> list[Architecture]:
        return super().recommend(k) or [self.space.sample(generator(0, "any"))]


class GlobalRandom(RandomSearch):
    def ask(self) -> list[Proposal]:
        return super().ask() if random.random() < 2 else []


class SeedsItself(RandomSearch):
    fresh_seeds: Iterator[int] = iter(range(1000))

    def __init__(self, problem, config, rng, shared=None) -> None:
        super().__init__(problem, config, np.random.default_rng(next(self.fresh_seeds)), shared)


class AsksForNothing(RandomSearch):
    def ask(self) -> list[Proposal]:
        return []


BROKEN_STRATEGIES = [
    (ForgetsItsGenerator, "a restored strategy asks for something else"),
    (RecommendsTheLast, "not an architecture with the best validation score"),
    (RecommendsNothing, r"recommend\(\) returned 0 architectures"),
    (RecommendsUnasked, r"recommend\(\) before any evaluation must be empty"),
    (GlobalRandom, "global random generator"),
    (SeedsItself, "the same seed gave another ledger"),
    (AsksForNothing, "asked for nothing"),
]


@pytest.mark.parametrize(
    ("strategy", "fault"), BROKEN_STRATEGIES, ids=[strategy.__name__ for strategy, _ in BROKEN_STRATEGIES]
)
def test_a_broken_strategy_is_caught(strategy: type[RandomSearch], fault: str) -> None:
    with pytest.raises(ContractBroken, match=fault):
        check_strategy(strategy)


# -- broken evaluators -----------------------------------------------------------------------------------------------
class Scores:
    """An evaluator without fault: the broken ones below differ from it in one thing each."""

    source = "trained"
    version = 0
    fingerprint = "scores"

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        if proposal.fidelity:
            raise BadInput("there is one fidelity.")
        return Evaluation(id, proposal, {"valid_accuracy": self.score(proposal, seed)}, "trained", seed)

    def score(self, proposal: Proposal, seed: int) -> float:
        return float(len(repr(proposal.architecture.spec)) + seed % 5)


class DependsOnCallOrder(Scores):
    calls = 0

    def score(self, proposal: Proposal, seed: int) -> float:
        self.calls += 1
        return float(self.calls)


class AcceptsAnyFidelity(Scores):
    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        return Evaluation(id, proposal, {"valid_accuracy": self.score(proposal, seed)}, "trained", seed)


class GlobalRandomScore(Scores):
    def score(self, proposal: Proposal, seed: int) -> float:
        return random.random()


class NotANumber(Scores):
    def score(self, proposal: Proposal, seed: int) -> float:
        return float("nan")


class AnotherId(Scores):
    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        return super().evaluate(proposal, id=id + 1, seed=seed)


class AnotherProposal(Scores):
    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        return super().evaluate(proposal, id=id, seed=seed)._replace(proposal=proposal._replace(repeat=1))


class AnotherSource(Scores):
    source = "table"


class OtherScoresInABatch(Scores):
    def evaluate_many(self, proposals, ids, seeds) -> list[Evaluation]:
        return [self.evaluate(p, id=i, seed=s + 1) for p, i, s in zip(proposals, ids, seeds, strict=True)]


class NoFingerprint:
    source = "trained"
    version = 0

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        raise NotImplementedError


BROKEN_EVALUATORS = [
    (DependsOnCallOrder, "the same proposal and seed gave other metrics"),
    (AcceptsAnyFidelity, "an unknown fidelity was accepted"),
    (GlobalRandomScore, "global random generator"),
    (NotANumber, "metrics must be finite floats"),
    (AnotherId, "id and seed must come back"),
    (AnotherProposal, "the proposal must come back"),
    (AnotherSource, "source must be the evaluator's"),
    (OtherScoresInABatch, "a batch gave other metrics"),
    (NoFingerprint, "it lacks source, version, fingerprint or evaluate"),
]


def test_the_evaluator_that_the_broken_ones_vary_is_not_broken() -> None:
    check_evaluator(Scores(), some(Plain(), 5))


@pytest.mark.parametrize(
    ("evaluator", "fault"), BROKEN_EVALUATORS, ids=[evaluator.__name__ for evaluator, _ in BROKEN_EVALUATORS]
)
def test_a_broken_evaluator_is_caught(evaluator: type[Any], fault: str) -> None:
    with pytest.raises(ContractBroken, match=fault):
        check_evaluator(evaluator(), some(Plain(), 5))


def test_the_global_generators_work_again_after_a_check() -> None:
    with pytest.raises(ContractBroken):
        check_strategy(GlobalRandom)
    assert 0 <= random.random() < 1
    assert np.random.randint(3) < 3  # noqa: NPY002
