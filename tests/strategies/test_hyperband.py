"""Successive halving and Hyperband: the brackets of the paper, who goes on, what is recommended, real training."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem, SearchTask
from nasbench.core.run_directory import open_run
from nasbench.core.seeding import generator
from nasbench.datasets.digits import read_digits
from nasbench.datasets.splits import make_task
from nasbench.evaluators.recipe import RECIPES
from nasbench.evaluators.train import TrainEvaluator
from nasbench.strategies.hyperband import HalvingConfig, Hyperband, SuccessiveHalving
from nasbench.testing import ContractBroken, check_strategy
from nasbench.testing.strategies import HashEvaluator, SmallSpace
from tests.core.test_loop import DyingLedger, Killed


def sizes(config: HalvingConfig, number: int, evaluations: int | None = None) -> list[tuple[int, int]]:
    return [tuple(rung) for rung in config.bracket(number, evaluations)]


def run(strategy: type, evaluator: Any = None, evaluations: int = 60, space: Any = None, **settings: Any) -> Any:
    problem = Problem(space or SmallSpace(), None, Budget(evaluations=evaluations), seed=0)
    searcher, ledger = strategy(problem, strategy.Config(**settings), generator(0, "strategy")), Ledger()
    search(problem, searcher, evaluator or HashEvaluator(), ledger)
    return searcher, ledger.evaluations


# -- the brackets ----------------------------------------------------------------------------------------------------
def test_the_brackets_for_81_epochs_and_eta_3_follow_algorithm_1() -> None:
    config = Hyperband.Config(maximum_epochs=81)
    assert sizes(config, 0) == [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    assert sizes(config, 1) == [(34, 3), (11, 9), (3, 27), (1, 81)]
    assert sizes(config, 2) == [(15, 9), (5, 27), (1, 81)]
    assert sizes(config, 3) == [(8, 27), (2, 81)]
    assert sizes(config, 4) == [(5, 81)]
    assert sizes(config, 5) == sizes(config, 0)


def test_the_brackets_for_8_epochs_and_eta_2() -> None:
    config = Hyperband.Config(maximum_epochs=8, eta=2)
    assert sizes(config, 0) == [(8, 1), (4, 2), (2, 4), (1, 8)]
    assert sizes(config, 1) == [(6, 2), (3, 4), (1, 8)]
    assert sizes(config, 2) == [(4, 4), (2, 8)]
    assert sizes(config, 3) == [(4, 8)]


def test_a_minimum_makes_fewer_rungs_and_powers_are_not_lost_to_rounding() -> None:
    assert Hyperband.Config(maximum_epochs=243).most_halvings == 5
    assert Hyperband.Config(maximum_epochs=242).most_halvings == 4
    assert sizes(Hyperband.Config(maximum_epochs=200, minimum_epochs=12), 0) == [(9, 22), (3, 67), (1, 200)]
    assert sizes(Hyperband.Config(maximum_epochs=2), 0) == [(1, 2)]
    with pytest.raises(ValidationError, match=r"minimum_epochs \(9\) exceeds maximum_epochs \(8\)"):
        Hyperband.Config(maximum_epochs=8, minimum_epochs=9)


def test_successive_halving_has_as_many_rungs_as_its_candidates_allow() -> None:
    assert sizes(SuccessiveHalving.Config(candidates=20, maximum_epochs=81), 0) == [(20, 9), (6, 27), (2, 81)]
    assert sizes(SuccessiveHalving.Config(candidates=2, maximum_epochs=81), 3) == [(2, 81)]
    config = SuccessiveHalving.Config(maximum_epochs=9)
    assert sizes(config, 0) == [(9, 1), (3, 3), (1, 9)]  # a budget of time
    for budget in (1, 13, 24, 100):
        used = sum(count for count, _ in sizes(config, 0, budget))
        larger = SuccessiveHalving.Config(maximum_epochs=9, candidates=sizes(config, 0, budget)[0][0] + 1)
        assert used <= budget < sum(count for count, _ in sizes(larger, 0))


def test_the_epochs_of_a_search_are_counted_without_those_that_are_gone_on_from() -> None:
    config = Hyperband.Config(maximum_epochs=8, eta=2)
    first = 8 * 1 + 4 * 1 + 2 * 2 + 1 * 4
    assert config.epochs_of(15) == first
    assert config.epochs_of(15 + 6 + 1) == first + 6 * 2 + 1 * 2
    assert config.epochs_of(3) == 3 and config.epochs_of(0) == 0


# -- the contract ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        (Hyperband, {"maximum_epochs": 9}),
        (Hyperband, {"maximum_epochs": 8, "eta": 2}),
        (SuccessiveHalving, {"maximum_epochs": 9}),
        (SuccessiveHalving, {"maximum_epochs": 9, "candidates": 7, "eta": 2, "minimum_epochs": 2}),
    ],
)
@pytest.mark.parametrize("evaluations", [5, 60])
def test_contract(strategy: Any, settings: dict[str, Any], evaluations: int) -> None:
    check_strategy(strategy, config=strategy.Config(**settings), evaluations=evaluations)


class LessIsMore(HashEvaluator):
    """Scores that fall with the epochs, the more the better the candidate was."""

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        first = "abcd".index(proposal.architecture.spec[0])
        return Evaluation(
            id, proposal, {"valid_accuracy": 90.0 + first - dict(proposal.fidelity)["epochs"]}, "trained", seed
        )


class BestOfAnyRung(Hyperband):
    """Takes the best score for the best architecture, whatever the epochs."""

    def recommend(self, k: int = 1) -> list[Architecture]:
        every = [entry for best in self._best.values() for entry in best._best]
        return [entry[2] for entry in sorted(every, key=lambda entry: (-entry[0], entry[1]), reverse=True)[:k]]


class PromotesFailures(Hyperband):
    def tell(self, evaluations: Any) -> None:
        super().tell(evaluations)
        if self._promoted:
            self._promoted = [(e.architecture, e.id) for e in evaluations[: len(self._promoted)]]


@pytest.mark.parametrize(
    ("broken", "fault"),
    [(BestOfAnyRung, "not an architecture with the best validation score"), (PromotesFailures, "that failed")],
)
def test_the_contract_knows_fidelities(broken: Any, fault: str) -> None:
    evaluator = LessIsMore() if broken is BestOfAnyRung else HashEvaluator()
    with pytest.raises(ContractBroken, match=fault):
        check_strategy(broken, evaluator=evaluator, config=Hyperband.Config(maximum_epochs=9), evaluations=60)


# -- who goes on -----------------------------------------------------------------------------------------------------
def test_the_best_third_that_did_not_fail_goes_on() -> None:
    _, evaluations = run(Hyperband, evaluations=9 + 3 + 1 + 5 + 1 + 3, maximum_epochs=9)
    assert [e.epochs for e in evaluations] == [1.0] * 9 + [3.0] * 3 + [9.0] + [3.0] * 5 + [9.0] + [9.0] * 3
    assert {dict(e.proposal.fidelity)["schedule_epochs"] for e in evaluations} == {9.0}
    assert any(e.status == "failed" for e in evaluations)
    for rung, next_rung in [(range(9), range(9, 12)), (range(9, 12), range(12, 13)), (range(13, 18), range(18, 19))]:
        scores = {i: evaluations[i].metrics["valid_accuracy"] for i in rung if evaluations[i].status == "ok"}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[: len(next_rung)]
        assert [evaluations[i].proposal.parent for i in next_rung] == best
        for i in next_rung:
            parent = evaluations[evaluations[i].proposal.parent]
            assert evaluations[i].architecture == parent.architecture and evaluations[i].seed == parent.seed
    assert all(evaluations[i].proposal.parent is None for i in (*range(9), *range(13, 18), *range(19, 22)))


class Failing(HashEvaluator):
    """Only candidates that begin with ``a`` succeed, or none."""

    def __init__(self, *begin: str) -> None:
        self.begin = begin

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        if proposal.architecture.spec[0] not in self.begin:
            raise RuntimeError("too bad")
        return Evaluation(id, proposal, {"valid_accuracy": 50.0}, "trained", seed)


def test_where_fewer_succeed_than_may_go_on_only_they_do_and_where_none_does_a_new_bracket_begins() -> None:
    searcher, evaluations = run(Hyperband, Failing("a"), evaluations=100, maximum_epochs=9)
    assert all(e.architecture.spec[0] == "a" for e in evaluations if e.proposal.parent is not None)
    assert searcher.recommend()[0].spec[0] == "a"
    searcher, evaluations = run(Hyperband, Failing(), evaluations=30, maximum_epochs=9)
    assert [e.epochs for e in evaluations] == [1.0] * 9 + [3.0] * 5 + [9.0] * 3 + [1.0] * 9 + [3.0] * 4
    assert searcher.recommend() == []


class Tiny(SmallSpace):
    name = "tiny"
    decisions = (Choice("only", ("a", "b", "c", "d")),)


def test_no_bracket_has_a_candidate_twice_and_a_small_space_makes_it_smaller() -> None:
    _, evaluations = run(SuccessiveHalving, evaluations=200, maximum_epochs=9, candidates=100)
    first = Counter(e.architecture for e in evaluations[:100])
    assert max(first.values()) == 1
    _, evaluations = run(SuccessiveHalving, Failing(*"abcd"), 12, Tiny(), maximum_epochs=9, candidates=9)
    assert [e.epochs for e in evaluations[:8]] == [1.0] * 4 + [3.0] * 3 + [9.0]
    assert [e.reuses is not None for e in evaluations[8:]] == [True] * 4


def test_the_longest_trained_are_recommended_first() -> None:
    searcher, evaluations = run(Hyperband, LessIsMore(), evaluations=13, maximum_epochs=9)
    last = evaluations[-1]
    assert max(evaluations, key=lambda e: e.metrics["valid_accuracy"]).epochs == 1 and last.epochs == 9
    order = searcher.recommend(20)
    assert order[0] == last.architecture and len(order) == 9
    assert set(order[:3]) == {e.architecture for e in evaluations if e.epochs > 1}


# -- with real training ----------------------------------------------------------------------------------------------
class Perceptrons(DecisionSpace):
    """Small networks with all that must be restored: weights, statistics, momentum, torch's own generator."""

    name = "perceptrons"
    decisions = (Choice("width", (4, 8, 12, 16)), Choice("dropout", (0.1, 0.2, 0.3, 0.4)))

    def build(self, a: Architecture, task: SearchTask, size: object = None) -> nn.Module:
        width, dropout = a.spec
        hidden = [nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, task.classes))


@pytest.fixture(scope="module")
def task() -> SearchTask:
    whole = make_task("digits", read_digits(), seed=0, validation=0.25, test=0.2).task.search
    return replace(whole, train=whole.train.subset(torch.arange(200)))


RECIPE = RECIPES["digits"].model_copy(update={"batch_size": 32, "epochs": 4, "learning_rate": 0.02})


def halving(folder: Path, evaluator: Any, evaluate_many: Any = None, ledger_type: Any = Ledger, *fatal: Any) -> Any:
    """Search in a folder whose weights the evaluator may use: 4 + 2 + 1, 3 + 1 and 2 of 3 candidates."""
    problem = Problem(evaluator.space, evaluator.task, Budget(evaluations=13), seed=3)
    config = Hyperband.Config(eta=2, **Hyperband.Config.from_recipe(evaluator.recipe.model_dump()))
    searcher = Hyperband(problem, config, generator(3, "strategy"))
    with open_run(folder, {}, {}) as directory:
        evaluator.store_in(folder)
        ledger = ledger_type(folder / "evaluations.jsonl", *fatal)
        try:
            search(problem, searcher, evaluator, ledger, checkpoints=directory, evaluate_many=evaluate_many)
        finally:
            ledger.close()
    return searcher


def records(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "evaluations.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": 0.0} for line in lines]


def stored(folder: Path) -> set[int]:
    return {int(file.stem) for file in (folder / "weights").glob("*.json")}


def test_what_goes_on_equals_what_is_trained_in_one_go(task: SearchTask, tmp_path: Path) -> None:
    searcher = halving(tmp_path, TrainEvaluator(Perceptrons(), task, RECIPE))
    found = records(tmp_path)
    assert {record["id"] for record in found if "weights_file" in record} == {*range(6), *range(7, 10)}
    assert stored(tmp_path) == set()  # the last batch stored nothing, and what was before is deleted
    fresh = TrainEvaluator(Perceptrons(), task, RECIPE)
    for evaluation in map(Evaluation.from_record, found):
        alone = fresh.evaluate(evaluation.proposal._replace(parent=None), id=0, seed=evaluation.seed)
        assert alone.metrics == evaluation.metrics
    best = max((r for r in found if dict(r["fidelity"])["epochs"] == 4), key=lambda r: r["metrics"]["valid_accuracy"])
    assert searcher.recommend()[0] == Architecture.from_json(best["architecture"])


class Counting(TrainEvaluator):
    """Counts the epochs that are trained."""

    trained = 0

    def _earlier(self, parent: Any, identity: Any, stop: Any) -> Any:
        states = super()._earlier(parent, identity, stop)
        self.trained += stop - (states[0]["epochs"] if states else 0)
        return states


class Forgetful(Counting):
    """Stores nothing."""

    def store_in(self, folder: Path) -> None: ...


def test_stored_weights_save_the_epochs_that_were_trained_and_are_dispensable(task: SearchTask, tmp_path: Path) -> None:
    counting, forgetful = (kind(Perceptrons(), task, RECIPE) for kind in (Counting, Forgetful))
    searcher = halving(tmp_path / "stored", counting)
    halving(tmp_path / "not stored", forgetful)
    assert counting.trained == searcher.epochs_of(13) < forgetful.trained
    for record in (expected := records(tmp_path / "stored")):
        record.pop("weights_file", None)
    assert records(tmp_path / "not stored") == expected


def test_killed_at_every_second_line_and_resumed_equals_undisturbed(
    task: SearchTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = TrainEvaluator(Perceptrons(), task, RECIPE)
    expected = halving(tmp_path / "whole", evaluator).recommend()
    monkeypatch.setattr("nasbench.core.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    folder = tmp_path / "killed"
    for attempt in range(40):
        where = ("before", "middle", "after")[attempt % 3]
        try:
            found = halving(folder, evaluator, None, DyingLedger, 2, where).recommend()
            break
        except Killed:
            assert len(stored(folder)) <= 4 + 2  # of the rung before and of this one
    assert attempt > 5 and found == expected
    assert records(folder) == records(tmp_path / "whole")
    assert stored(folder) == set()


def test_a_copy_of_the_evaluator_goes_on_from_what_another_stored(task: SearchTask, tmp_path: Path) -> None:
    evaluator = Counting(Perceptrons(), task, RECIPE)
    copies: list[Counting] = []

    def evaluate_many(proposals: Any, ids: Any, seeds: Any) -> Any:
        for proposal, id, seed in zip(proposals, ids, seeds, strict=True):
            copies.append(pickle.loads(pickle.dumps(evaluator)))
            yield copies[-1].evaluate(proposal, id=id, seed=seed)

    searcher = halving(tmp_path / "copies", evaluator, evaluate_many)
    assert sum(copy.trained for copy in copies) == searcher.epochs_of(13)
    halving(tmp_path / "one", evaluator)
    assert records(tmp_path / "copies") == records(tmp_path / "one")
