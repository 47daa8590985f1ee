"""Auto-GNN's controller: what its encoders read, give and learn. See test_conservative for the explorer."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.seeding import generator
from nasbench.search_spaces.nasbench_graph import NasBenchGraph
from nasbench.strategies.agnn import AutoGnn
from nasbench.strategies.reinforce import Adam
from nasbench.testing.strategies import SmallSpace
from tests.strategies.test_conservative import made, tell


def parameters(strategy: AutoGnn) -> list[np.ndarray]:
    return [encoder.parameters.copy() for encoder in strategy._encoders]


def log_probability(strategy: AutoGnn, number: int, spec: tuple) -> float:
    """Read the centre anew and return the log-probability of a class's decisions."""
    _, answers = strategy._encode(number)
    picks = [strategy._numbers[position][spec[position]] for position in strategy._open(number)]
    return float(sum(answer.logs[pick] for answer, pick in zip(answers, picks, strict=True)))


def test_an_encoder_does_not_see_its_own_class() -> None:
    strategy = made(AutoGnn)
    tell(strategy, 1.0)
    spec = strategy._centre.spec
    answers = [a.logs for a in strategy._encode(0)[1]]
    for changed, same in ((0, True), (1, False)):
        other = tuple(
            "d" if i % 2 == changed and v != "d" else "a" if i % 2 == changed else v for i, v in enumerate(spec)
        )
        strategy._centre = strategy._centre._replace(spec=other)
        again = [a.logs for a in strategy._encode(0)[1]]
        assert np.array_equal(np.array(answers), np.array(again)) == same
        strategy._centre = strategy._centre._replace(spec=spec)


def test_forced_log_probability_is_that_of_sampling() -> None:
    strategy, rng = (
        made(AutoGnn, NasBenchGraph(), learning_rate=0.05, unseen=False, choice="uniform"),
        generator(4, "test"),
    )
    for _ in range(30):
        tell(strategy, float(rng.normal()))
    for number in range(2):
        drawn = strategy._draw([number], 4000, rng)
        policies = strategy._policies(number)
        for position, policy in zip(strategy._open(number), policies, strict=True):
            values = strategy.space.decisions[position].values
            shares = np.array([sum(a.spec[position] == value for a in drawn) for value in values]) / len(drawn)
            assert np.allclose(shares, policy, atol=4.5 * np.sqrt(0.25 / len(drawn)))
        spec = drawn[0].spec
        picks = [strategy._numbers[position][spec[position]] for position in strategy._open(number)]
        of_sampling = sum(np.log(policy[pick]) for policy, pick in zip(policies, picks, strict=True))
        assert log_probability(strategy, number, spec) == pytest.approx(of_sampling, abs=1e-5)


def test_equal_rewards_give_no_gradient() -> None:
    strategy = made(AutoGnn, entropy_weight=0.0, learning_rate=0.5)
    tell(strategy, 50.0)
    before = parameters(strategy)
    for _ in range(5):
        tell(strategy, 40.0)
    assert all(np.array_equal(a, b) for a, b in zip(before, parameters(strategy), strict=True))
    assert strategy._baseline == -10.0
    tell(strategy, 41.0)
    assert strategy._baseline == pytest.approx(0.95 * -10 + 0.05 * -9)


def test_only_the_encoder_of_the_changed_class_moves_and_rightly() -> None:
    strategy = made(AutoGnn, learning_rate=0.01, choice="uniform")
    tell(strategy, 50.0)
    tell(strategy, 40.0)
    moved = set()
    for score in (45.0, 49.0, 20.0, 10.0, 48.0, 5.0) * 2:
        before = parameters(strategy)
        asked = strategy.ask()
        number = strategy._changed[0]
        was = log_probability(strategy, number, asked[0].architecture.spec)
        strategy._encoders[number]._adam = Adam(before[number].shape, 0.01, np.float32)  # without momentum
        baseline, centre = strategy._baseline, strategy._score
        strategy.tell([Evaluation(0, asked[0], {"valid_accuracy": score}, "trained", 0)])
        changed = [
            n for n, (a, b) in enumerate(zip(before, parameters(strategy), strict=True)) if not np.array_equal(a, b)
        ]
        assert changed == [number]
        better = score - centre > baseline
        assert (log_probability(strategy, number, asked[0].architecture.spec) > was) == better
        moved.add(number)
    assert moved == {0, 1}


def test_a_failure_counts_as_the_lowest_score() -> None:
    strategies = [made(AutoGnn, learning_rate=0.1) for _ in range(2)]
    for strategy in strategies:
        for score in (50.0, 30.0, 45.0):
            tell(strategy, score)
    tell(strategies[0], None)
    tell(strategies[1], 30.0)
    for a, b in zip(*map(parameters, strategies), strict=True):
        assert np.array_equal(a, b)


def test_the_policy_comes_to_prefer_what_scores_well() -> None:
    strategy = made(AutoGnn, learning_rate=0.02, unseen=False, choice="uniform", restart_after=25)
    for _ in range(300):
        proposal = strategy.ask()[0].architecture
        tell_score(strategy, proposal, float(sum(value == "c" for value in proposal.spec)))
    share = np.mean([policy[2] for number in range(2) for policy in strategy._policies(number)])
    assert share > 0.5
    assert strategy.recommend()[0].spec == ("c",) * 6


def tell_score(strategy: AutoGnn, architecture, score: float) -> None:
    strategy.tell([Evaluation(0, Proposal(architecture), {"valid_accuracy": score}, "trained", 0)])


def test_the_state_holds_between_asking_and_telling() -> None:
    strategies = [made(AutoGnn, learning_rate=0.1) for _ in range(2)]
    for score in (50.0, 30.0, 45.0):
        tell(strategies[0], score)
    asked = strategies[0].ask()[0].architecture
    strategies[1].load_state_dict(strategies[0].state_dict())
    for strategy in strategies:
        tell_score(strategy, asked, 60.0)
    assert strategies[0].ask() == strategies[1].ask()
    assert isinstance(strategies[0].space, SmallSpace)
