"""Looking scores up: what the metrics are, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Proposal
from nasbench.core.seeding import generator
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables.nasbench201 import load
from nasbench.tables.nasbench201_file import ACCURACY_FILE, LATENCY_FILE
from nasbench.tables.table import Score, Surrogate, Table
from nasbench.testing import check_evaluator

SPACE = NasBench201()
# Rows of the benchmark: the first, only shortcuts, the last, and one of the cells that compute nothing.
INDICES = (0, 1835, 15_624, 6577)


@pytest.fixture(scope="module")
def read() -> dict[Path, Table]:
    return {}


@pytest.fixture
def cifar10(table: Path, read: dict[Path, Table]) -> Table:
    """The search scores on CIFAR-10, read once for all tests of this file."""
    if table not in read:
        read[table] = load("cifar10", table)
    return read[table]


def evaluator(scores: Table, folder: Path, latency: str = "") -> TableEvaluator:
    return TableEvaluator(SPACE, scores, TableEvaluator.Config(latency=latency), folder)


def test_the_metrics_are_those_of_the_table(table: Path, cifar10: Table) -> None:
    frame = pd.read_csv(table / ACCURACY_FILE).set_index("index")
    latency = pd.read_csv(table / LATENCY_FILE).set_index("index")
    looking_up = evaluator(cifar10, table, "raspi4, eyeriss")
    for index in INDICES:
        proposal = Proposal(SPACE.parse(frame["arch"][index]))
        evaluation = looking_up.evaluate(proposal, id=index, seed=3)
        assert evaluation.metrics == {
            "valid_accuracy": frame["cifar10_valid_12"][index],
            "parameters": SPACE.parameters(proposal.architecture),
            "latency_ms@raspi4": latency["raspi4"][index],
            "latency_ms@eyeriss": latency["eyeriss"][index],
        }
        assert (evaluation.id, evaluation.proposal, evaluation.seed) == (index, proposal, 3)
        assert (evaluation.source, evaluation.status, evaluation.seconds) == ("table", "ok", 0.0)


@pytest.mark.parametrize(("dataset", "head"), [("cifar10", 0), ("cifar100", 65 * 90)])
def test_the_parameters_follow_the_formula(table: Path, dataset: str, head: int) -> None:
    """Stem, reductions and head, then 15 cells of 16, 32 and 64 channels; 90 more classes of 64 weights and a bias."""
    looking_up = evaluator(load(dataset, table), table)
    cells = {
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|": (6, 0),
        "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|": (1, 2),
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|": (0, 0),
    }
    for text, (n3, n1) in cells.items():
        metrics = looking_up.evaluate(Proposal(SPACE.parse(text)), id=0, seed=0).metrics
        assert metrics["parameters"] == 73_306 + 243_040 * n3 + 28_000 * n1 + head


def test_a_batch_is_the_same_one_by_one(table: Path, cifar10: Table) -> None:
    proposals = [Proposal(architecture) for architecture in SPACE.all()[::1000]]
    ids, seeds = list(range(len(proposals))), list(range(100, 100 + len(proposals)))
    batch = evaluator(cifar10, table).evaluate_many(proposals, ids, seeds)
    one_by_one = evaluator(cifar10, table)
    assert batch == [one_by_one.evaluate(p, id=i, seed=s) for p, i, s in zip(proposals, ids, seeds, strict=True)]


def test_isomorphs_have_scores_of_their_own(table: Path, cifar10: Table) -> None:
    """Node 1 feeds nothing or is not fed: the same network, trained and numbered twice by the benchmark."""
    one = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_3x3~2|")
    other = SPACE.parse("|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_3x3~2|")
    assert SPACE.canonical(one) == SPACE.canonical(other)
    looking_up = evaluator(cifar10, table)
    scores = [looking_up.evaluate(Proposal(cell), id=0, seed=0).metrics["valid_accuracy"] for cell in (one, other)]
    assert scores[0] != scores[1]


def test_a_fidelity_is_refused(table: Path, cifar10: Table) -> None:
    proposal = Proposal(SPACE.all()[0], fidelity=(("epochs", 12.0),))
    with pytest.raises(BadInput, match=r"one fidelity \(12 epochs\)"):
        evaluator(cifar10, table).evaluate(proposal, id=0, seed=0)


def test_a_cell_that_is_not_in_the_table_is_refused(table: Path, cifar10: Table) -> None:
    with pytest.raises(BadInput, match="no cell"):
        evaluator(cifar10, table).evaluate(Proposal(Architecture("nasbench201", ("none",) * 5)), id=0, seed=0)


def test_an_unknown_device_is_refused_at_once(table: Path, cifar10: Table) -> None:
    with pytest.raises(BadInput, match="Did you mean 'eyeriss'"):
        evaluator(cifar10, table, "raspi4,eyeris")


def test_the_fingerprint_tells_data_sets_apart(table: Path, cifar10: Table) -> None:
    same, other = evaluator(load("CIFAR10", table), table), evaluator(load("cifar100", table), table)
    assert evaluator(cifar10, table).fingerprint == same.fingerprint != other.fingerprint


# -- shuffled rewards ------------------------------------------------------------------------------------------------
def shuffled(scores: Table, seed: int) -> TableEvaluator:
    settings = TableEvaluator.Config(shuffle=True)
    return TableEvaluator(SPACE, scores, settings, None, generator(seed, "shuffled rewards"))


def test_shuffled_rewards_are_the_same_ones_dealt_anew_by_the_seed(table: Path, cifar10: Table) -> None:
    proposals = [Proposal(architecture) for architecture in SPACE.all()]
    ids, seeds = range(len(proposals)), [0] * len(proposals)
    plain = evaluator(cifar10, table).evaluate_many(proposals, ids, seeds)
    one, same, other = (shuffled(cifar10, seed).evaluate_many(proposals, ids, seeds) for seed in (1, 1, 2))
    assert one == same != other
    accuracies = [np.array([e.metrics["valid_accuracy"] for e in dealt]) for dealt in (plain, one, other)]
    assert all(np.array_equal(np.sort(accuracies[0]), np.sort(dealt)) for dealt in accuracies)
    assert all(abs(np.corrcoef(accuracies[0], dealt)[0, 1]) < 0.03 for dealt in accuracies[1:])
    assert [e.metrics["parameters"] for e in one] == [e.metrics["parameters"] for e in plain]
    assert {e.source for e in one} == {"shuffled"} and {e.source for e in plain} == {"table"}


def test_shuffled_rewards_keep_the_contract_and_bear_their_name(table: Path, cifar10: Table) -> None:
    control = shuffled(cifar10, 0)
    check_evaluator(control, SPACE.all()[::3000])
    assert (control.source, control.fingerprint) == ("shuffled", evaluator(cifar10, table).fingerprint + "-shuffled")
    assert TableEvaluator.Config().model_dump() == {"latency": ""}  # configurations from before remain what they were
    assert TableEvaluator.Config(shuffle=True).measuring(["latency_ms@raspi4"]).shuffle


def test_scores_of_which_some_are_predicted_cannot_be_shuffled(cifar10: Table) -> None:
    surrogate = Surrogate(
        space="nasbench201",
        dataset="cifar10",
        classes=10,
        fidelity="12 epochs",
        file=cifar10.file,
        fingerprint="some",
        measured={},
        canonical=SPACE.canonical,
        predict=lambda architecture: Score(50.0, "predicted"),
        error={},
    )
    with pytest.raises(BadInput, match="only a table in which every architecture was measured can be shuffled"):
        TableEvaluator(SPACE, surrogate, TableEvaluator.Config(shuffle=True), None, generator(0, "x"))
