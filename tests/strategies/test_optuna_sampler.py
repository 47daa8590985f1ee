"""Optuna's samplers keep the contract, leave the process as they found it, and can be watched in a storage."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from nasbench.core.decision_space import Choice
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Constraint, Objective, Problem
from nasbench.core.seeding import generator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.optuna_sampler import OptunaSampler
from nasbench.testing import check_strategy
from nasbench.testing.strategies import HashEvaluator, SmallSpace
from tests.strategies.conditional import ConditionalSpace

SETTINGS: list[dict[str, Any]] = [
    {"sampler": "tpe"},
    {"sampler": "tpe", "batch": 4},
    {"sampler": "tpe", "unique": True, "startup": 4},
    {"sampler": "nsga2", "population": 6},
    {"sampler": "nsga3", "population": 6, "unique": True, "batch": 3},
    {"sampler": "random"},
]


class Numbers(SmallSpace):
    name = "numbers"
    decisions = tuple(Choice(f"width{i}", (8, 2, 4, 16.5)) for i in range(4))


ONE = (Objective(),)


def strategy(space=None, objectives=ONE, constraints=(), seed: int = 0, **settings: Any) -> OptunaSampler:
    problem = Problem(space or SmallSpace(), None, Budget(evaluations=60), seed, objectives, constraints)
    return OptunaSampler(problem, OptunaSampler.Config(**settings), generator(seed, "strategy"))


def run(searcher: OptunaSampler, evaluations: int) -> Ledger:
    ledger = Ledger()
    problem = Problem(searcher.space, None, Budget(evaluations=evaluations), searcher.problem.seed)
    search(problem, searcher, HashEvaluator(), ledger)
    return ledger


@pytest.mark.parametrize("space", [SmallSpace(), ConditionalSpace()], ids=lambda space: space.name)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_contract(space, settings: dict[str, Any]) -> None:
    check_strategy(OptunaSampler, space=space, config=OptunaSampler.Config(**settings), evaluations=30)


def test_contract_of_the_gaussian_process() -> None:
    before = torch.get_rng_state()
    check_strategy(OptunaSampler, config=OptunaSampler.Config(sampler="gp", startup=6), evaluations=10)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("unique", [False, True])
def test_contract_of_cma_es(unique: bool) -> None:
    pytest.importorskip("cmaes")
    config = OptunaSampler.Config(sampler="cmaes", unique=unique)
    check_strategy(OptunaSampler, space=Numbers(), config=config, evaluations=20)


def test_a_state_holds_no_pickle() -> None:
    pytest.importorskip("cmaes")
    searcher = strategy(Numbers(), sampler="cmaes")
    run(searcher, 30)
    assert any("optimizer" in name for t in searcher._study.trials for name in t.system_attrs)
    assert "optimizer" not in json.dumps(searcher.state_dict())


def test_cma_es_climbs_a_slope_of_numbers() -> None:
    pytest.importorskip("cmaes")
    searcher, scores = strategy(Numbers(), sampler="cmaes"), []
    for _ in range(80):
        proposal = searcher.ask()[0]
        scores.append(float(sum(proposal.architecture.spec)))
        searcher.tell([Evaluation(0, proposal, {"valid_accuracy": scores[-1]}, "table", 0)])
    assert sum(scores[-20:]) / 20 > sum(scores[:20]) / 20 + 10


def test_tpe_finds_more_than_chance() -> None:
    def best(sampler: str) -> float:
        tops = [
            max(Objective().score(e) for e in run(strategy(seed=s, sampler=sampler), 60).evaluations) for s in range(4)
        ]
        return sum(tops) / len(tops)

    assert best("tpe") > best("random") + 1.0


def test_unique_never_asks_for_an_isomorph_twice_and_ends() -> None:
    class Tiny(SmallSpace):
        name = "tiny"
        decisions = SmallSpace.decisions[:2]

    for sampler in ("tpe", "random"):
        ledger = run(strategy(Tiny(), sampler=sampler, unique=True), 100)
        assert len(ledger) == 16
    space = NasBench201()
    ledger = run(strategy(space, sampler="tpe", unique=True), 60)
    assert len({space.canonical(e.architecture) for e in ledger.evaluations}) == 60


def test_trials_hold_what_was_asked_and_told() -> None:
    space = ConditionalSpace()
    searcher = strategy(space, sampler="random")
    ledger = run(searcher, 40)
    trials = searcher._study.trials
    assert len(trials) == 40
    for trial, evaluation in zip(trials, ledger.evaluations, strict=True):
        settings = space.choices(evaluation.architecture)
        active = [c.name for c, on in zip(space.decisions, space.active(settings), strict=True) if on]
        assert sorted(trial.params) == sorted(active)
        assert all(trial.params[name] in (settings[name], repr(settings[name])) for name in active)
        failed = evaluation.status == "failed"
        assert trial.state == (optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE)
        assert failed or trial.value == evaluation.metrics["valid_accuracy"]


def test_all_objectives_and_constraints_are_told() -> None:
    objectives = Objective(), Objective("latency", maximize=False)
    searcher = strategy(
        objectives=objectives, constraints=(Constraint("latency", 10.0),), sampler="nsga2", population=4
    )
    for latency in (5.0, 20.0):
        proposal = searcher.ask()[0]
        searcher.tell([Evaluation(0, proposal, {"valid_accuracy": 80.0, "latency": latency}, "table", 0)])
    quick, slow = searcher._study.trials
    assert [d.name for d in searcher._study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert (quick.values, slow.values) == ([80.0, 5.0], [80.0, 20.0])
    assert (list(quick.constraints.values()), list(slow.constraints.values())) == ([0.0], [1.0])
    assert searcher.recommend(5) == [searcher.recommend()[0]]


def test_what_the_budget_cut_off_is_no_open_trial() -> None:
    searcher = strategy(sampler="tpe", batch=4)
    proposals = searcher.ask()
    searcher.tell([Evaluation(0, proposals[0], {"valid_accuracy": 1.0}, "table", 0)])
    assert [t.state.name for t in searcher._study.trials] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]


@pytest.mark.parametrize(
    ("space", "objectives", "reason"),
    [
        (NasBench201(), 1, "decision '1<-0' of space 'nasbench201' can be 'none'"),
        (Numbers(), 2, "cmaes has one objective"),
    ],
)
def test_cma_es_says_why_it_does_not_apply(space, objectives: int, reason: str) -> None:
    pytest.importorskip("cmaes")
    with pytest.raises(BadInput, match=reason):
        strategy(space, tuple(Objective(f"metric{i}") for i in range(objectives)), sampler="cmaes")


def test_cma_es_refuses_conditional_numbers() -> None:
    pytest.importorskip("cmaes")

    class Sometimes(SmallSpace):
        name = "sometimes"
        decisions = (Choice("a", (1, 2)), Choice("b", (1, 2), active=lambda settings: settings["a"] == 2))

    with pytest.raises(BadInput, match="'b' of space 'sometimes' is conditional"):
        strategy(Sometimes(), sampler="cmaes")


def test_optuna_is_kept_quiet_and_its_settings_stay(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    verbosity = optuna.logging.get_verbosity()
    try:
        with caplog.at_level(logging.DEBUG, logger="optuna"):
            optuna.logging.set_verbosity(optuna.logging.DEBUG)
            run(strategy(sampler="tpe"), 15)
            assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
        assert not caplog.records
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(verbosity)


# -- the copy for the dashboard --------------------------------------------------------------------------------------
def test_a_storage_gets_every_trial_once_whatever_is_interrupted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    settings = {"sampler": "tpe", "batch": 3, "storage": url}
    first = strategy(ConditionalSpace(), **settings)
    ledger = run(first, 12)
    for restored in (False, True):  # from the ledger alone, and from a checkpoint
        again = strategy(ConditionalSpace(), **settings)
        if restored:
            again.load_state_dict(json.loads(json.dumps(first.state_dict())))
            again.tell([HashEvaluator().evaluate(p, id=0, seed=0) for p in again.ask()[:1] if not failing(p)])
        else:
            assert [e.proposal for e in run(again, 12).evaluations] == [e.proposal for e in ledger.evaluations]
        [study] = optuna.get_all_study_summaries(url)
        assert study.study_name == "nasbench conditional tpe seed 0"
        trials = optuna.load_study(study_name=study.study_name, storage=url).trials
        assert len(trials) == (15 if restored else 12)
        for copied, trial in zip(trials, again._study.trials, strict=True):
            assert (copied.params, copied.values, copied.state) == (trial.params, trial.values, trial.state)


def failing(proposal: Proposal) -> bool:
    try:
        HashEvaluator().evaluate(proposal, id=0, seed=0)
    except RuntimeError:
        return True
    return False


def test_a_storage_with_another_search_of_that_name_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    run(strategy(sampler="random", storage=url), 3)
    other = strategy(sampler="random", storage=url)
    [proposal] = other.ask()
    with pytest.raises(BadInput, match="is of another search"):
        other.tell([Evaluation(0, proposal, {"valid_accuracy": 1e6}, "table", 0)])


def test_a_storage_that_cannot_be_opened_is_bad_input_before_anything_is_scored(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Optuna cannot open the storage"):
        strategy(storage=f"sqlite:///{tmp_path}/no/such/folder/study.db").ask()
