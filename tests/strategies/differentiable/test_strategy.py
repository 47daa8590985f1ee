"""The composed strategies: units, resumption to the last bit, rules of stopping and selection, refusals."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nasbench.catalog import STRATEGIES, resolve
from nasbench.core.abilities import Learner, Relaxing, Stateful
from nasbench.core.errors import BadInput, Diverged
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.progress import Progress
from nasbench.core.seeding import generator
from nasbench.core.state import load_state, save_state
from nasbench.search_spaces.darts import Darts, DartsSize
from nasbench.search_spaces.hypercuboid import HyperCuboid, HyperCuboidSize
from nasbench.strategies.differentiable.schedule import Moment
from nasbench.strategies.differentiable.stopping import EigenvalueStop
from nasbench.testing.contract import no_global_randomness

from .small_problem import EPOCHS, TASK, parts

NAMES = [name for name in STRATEGIES if getattr(resolve("strategy", name, STRATEGIES), "shares_weights", False)]
CHEAP = {"darts-pt": {"tuning_epochs": 1}, "darts-pt-frozen": {"tuning_epochs": 1}}
GRID = HyperCuboid(layers=1, widths=(2, 4))


def named(name: str, **settings: Any) -> Any:
    """Return the parts of a strategy on a space that suits it."""
    if name == "dhgs":
        return parts(name, space=GRID, size=HyperCuboidSize(features=4), **settings)
    return parts(name, **CHEAP.get(name, {}), **settings)


@cache
def run(name: str, **settings: Any) -> tuple[Any, Ledger]:
    """Return a search that is over; tests share it and leave it as it is."""
    problem, strategy, evaluator, shared = named(name, **settings)
    ledger = Ledger()
    with no_global_randomness():
        search(problem, strategy, evaluator, ledger, shared=shared)
    return strategy, ledger


# -- units and evaluations -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_every_epoch_is_a_unit_and_shows_what_alpha_says(name: str) -> None:
    strategy, ledger = run(name)
    assert isinstance(strategy, Learner) and isinstance(strategy, Stateful) and isinstance(strategy, Relaxing)
    epochs = [unit for unit in ledger.units if "entropy" in unit.metrics and "train_loss" in unit.metrics]
    assert len(epochs) == EPOCHS
    assert len(ledger) == EPOCHS
    versions = [evaluation.weights for evaluation in ledger.evaluations]
    assert versions == sorted(set(versions)) and versions[-1] == len(ledger.units)
    assert all(0 <= evaluation.metrics["valid_accuracy"] <= 100 for evaluation in ledger.evaluations)
    assert strategy.recommend() == [ledger.evaluations[-1].architecture]
    weights = strategy.relaxation()["weights"]
    assert all(len(epochs) == EPOCHS for epochs in weights.values())


@pytest.mark.parametrize("settings", [{"coefficients": "gumbel", "order": 2}, {}], ids=str)
def test_a_search_goes_on_from_every_unit_to_the_last_bit(tmp_path: Path, settings: dict[str, Any]) -> None:
    check_resumption(tmp_path, "darts", settings)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "darts"])
def test_every_strategy_goes_on_to_the_last_bit(tmp_path: Path, name: str) -> None:
    check_resumption(tmp_path, name, {})


def check_resumption(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Take the state of every part through a file into fresh ones after every unit and evaluation."""
    strategy, ledger = run(name, **settings)
    _, other, evaluator, shared = named(name, **settings)
    units: list[dict[str, float]] = []
    told = 0
    while True:
        if other.due(Progress(told, len(units), 0.0)):
            units.append(other.learn(other.sample))
        elif proposals := other.ask():
            scores = [evaluator.evaluate(proposal, id=told, seed=0) for proposal in proposals]
            expected = ledger.evaluations[told]
            assert [e.metrics for e in scores] == [expected.metrics]
            assert scores[0].weights == expected.weights
            other.tell(scores)
            told += 1
        else:
            break
        save_state(folder / "state.json", {"strategy": other.state_dict(), "shared": shared.state_dict()})
        state = load_state(folder / "state.json")
        _, other, evaluator, shared = named(name, **settings)
        other.load_state_dict(state["strategy"])
        shared.load_state_dict(state["shared"])
    assert units == [unit.metrics for unit in ledger.units]
    assert other.recommend() == strategy.recommend()
    assert other.relaxation() == strategy.relaxation()


# -- the pieces do what they are for -----------------------------------------------------------------------------------
def test_frozen_alpha_stays_zero_and_learned_alpha_moves() -> None:
    frozen, _ = run("darts-pt-frozen")
    assert all(not logits.any() for logits in frozen._training.alpha.values())
    learned, _ = run("darts")
    _, start, _, _ = parts("darts")
    moved = (learned._training.alpha["cell"] - start._training.alpha["cell"]).abs()
    assert moved.min() > 0 and moved.max() <= 0.01 * 2 * EPOCHS * 1.01  # Adam moves by its rate a step at most


def test_alpha_is_in_no_optimiser_of_weights_and_in_no_clipping() -> None:
    _, strategy, _, shared = parts("darts")
    weights = {id(weight) for group in strategy._training.optimiser.param_groups for weight in group["params"]}
    assert weights == {id(weight) for weight in shared.module.parameters()}
    assert not weights & {id(logits) for logits in strategy._training.alpha.values()}


def test_the_second_order_is_another_gradient() -> None:
    first, second = run("darts")[0], run("darts", order=2)[0]
    assert not torch.equal(first._training.alpha["cell"], second._training.alpha["cell"])


def test_without_a_rate_of_the_weights_both_orders_take_the_same_steps() -> None:
    still = Moment(0.0, 0.0)
    alphas = []
    for order in (1, 2):
        _, strategy, _, _ = parts("darts", order=order)
        strategy._training.bilevel_epoch(still, seed=1)
        alphas.append(strategy._training.alpha["cell"].detach())
    torch.testing.assert_close(alphas[0], alphas[1], rtol=0, atol=1e-4)


def test_selection_decides_every_edge_in_units_and_tunes_between() -> None:
    strategy, ledger = run("darts-pt")
    decisions = [unit for unit in ledger.units if "train_loss" not in unit.metrics]
    tunings = ledger.units[EPOCHS:]
    assert len(decisions) == 6
    assert len(tunings) == 6 + 5  # nothing is tuned for after the last decision
    chosen = strategy._selection.decided["cell"]
    assert torch.equal(chosen.sum(dim=1), torch.ones(6))


def test_selection_in_the_darts_space_keeps_two_inputs_and_no_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _, strategy, _, _ = parts(
        "darts-pt", space=Darts(), size=DartsSize(channels=2, cells=1), evaluations=1, tuning_epochs=0
    )
    worth = {kind: torch.rand(14, 8, generator=torch.Generator().manual_seed(0)) for kind in ("normal", "reduce")}
    monkeypatch.setattr(
        strategy._training,
        "accuracy",
        lambda mixed: float(sum((worth[kind] * (mixed[kind] > 0)).sum() for kind in worth)),
    )
    while strategy.due(Progress(0, 0, 0.0)):
        strategy.learn(strategy.sample)
    architecture = strategy.recommend()[0]
    one_hot = Darts().one_hot(architecture)
    for kind, decided in strategy._selection.decided.items():
        assert np.array_equal(decided.numpy() > 0, one_hot[kind] > 0)


def test_an_early_stop_goes_back_to_an_earlier_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, strategy, evaluator, shared = parts("robust-darts", evaluations=9)
    strategy._stop = EigenvalueStop(window=1, lag=2, first_epoch=1)
    rising = iter([1.0, 1.0, 1.0, 1.0, 5.0, 5.0])
    monkeypatch.setattr(strategy._training, "eigenvalue", lambda moment, seed: next(rising))
    ledger = Ledger()
    search(problem, strategy, evaluator, ledger, shared=shared)
    assert len(ledger.units) == 5
    back = strategy._decoded(strategy._history[2])
    assert strategy.recommend() == [back] == [ledger.evaluations[-1].architecture]


def test_the_eigenvalue_leaves_no_trace_in_the_search() -> None:
    """The curvature is looked at after every epoch; weights and alpha are as without looking."""
    watched, plain = run("robust-darts"), run("darts")
    assert all("eigenvalue" in unit.metrics for unit in watched[1].units)
    for unit, other in zip(watched[1].units, plain[1].units, strict=True):
        assert {k: v for k, v in unit.metrics.items() if k != "eigenvalue"} == other.metrics


def test_too_many_skips_end_the_search() -> None:
    problem, strategy, evaluator, shared = parts("darts", stop="skips")
    with torch.no_grad():
        strategy._training.alpha["cell"][:, 1] = 5.0
    ledger = Ledger()
    search(problem, strategy, evaluator, ledger, shared=shared)
    assert len(ledger.units) == 1
    assert ledger.evaluations[0].architecture.spec.count("skip_connect") == 6


def test_a_budget_of_evaluations_is_one_of_epochs_unless_epochs_are_given() -> None:
    assert len(run("darts", evaluations=2)[1].units) == 2
    strategy, ledger = run("darts", evaluations=3, epochs=2)
    assert len(ledger.units) == 2 and len(strategy.recommend()) == 1
    assert len(run("darts", evaluations=1, epochs=5)[1].units) == 1


# -- refusals ----------------------------------------------------------------------------------------------------------
def test_without_data_or_weights_it_says_what_is_missing() -> None:
    strategy = resolve("strategy", "darts", STRATEGIES)
    problem, *_ = parts("darts")
    with pytest.raises(BadInput, match="needs a data set"):
        strategy(problem, strategy.Config(), generator(0, "strategy"), None)
    other = Problem(problem.space, None, Budget(evaluations=2), 0)
    with pytest.raises(BadInput, match="needs a data set"):
        strategy(other, strategy.Config(), generator(0, "strategy"), parts("darts")[3])


def test_pieces_that_do_not_fit_the_space_are_refused() -> None:
    grid: dict[str, Any] = {"space": GRID, "size": HyperCuboidSize(features=4)}
    with pytest.raises(BadInput, match="decided by paths"):
        parts("darts-pt", **grid)
    with pytest.raises(BadInput, match="skip_connect"):
        parts("darts-minus", **grid)


def test_a_loss_that_is_not_finite_ends_the_search_in_words() -> None:
    problem, strategy, evaluator, shared = parts("darts", learning_rate=1e30, learning_rate_end=0.0, gradient_clip=None)
    with pytest.raises(Diverged, match="learning_rate"):
        search(problem, strategy, evaluator, Ledger(), shared=shared)


def test_the_rate_of_alpha_makes_up_for_a_short_search() -> None:
    _, strategy, _, _ = parts("darts")
    assert strategy._training.alpha_optimiser.param_groups[0]["lr"] == 0.01
    _, long, _, _ = parts("darts", epochs=100 * len(TASK.train))
    expected = 3e-4 * 19_550 / (100 * len(TASK.train) * 2)
    assert long._training.alpha_optimiser.param_groups[0]["lr"] == pytest.approx(max(expected, 3e-4))
