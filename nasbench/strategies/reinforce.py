"""REINFORCE (Williams, Machine Learning 1992): a policy over architectures follows the gradient of its reward.

As a search for architectures: Zoph & Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from pydantic import Field

from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen
from nasbench.strategies.deciding import Picks, decide, decision_space, picks_of

if TYPE_CHECKING:
    from nasbench.strategies.lstm_policy import LstmPolicy

INITIAL_SPREAD = 1e-3
ABSENT = -1e9  # the logit of a value that a decision does not have
SMALLEST = 1e-300  # so that 0 times the logarithm of 0 is 0
# What was published for each controller, in force where the configuration says nothing. factorised: the REINFORCE of
# Dong & Yang, NAS-Bench-201, ICLR 2020, with the rate of Dong et al., NATS-Bench, TPAMI 2021. lstm: the controller of
# Adam & Lorraine, arXiv 1904.00438, 2019, after ENAS (Pham et al., ICML 2018); their weight of 1e-4 is for accuracies
# from 0 to 1, and rewards here are percentages. There entropy is a part of the reward, here its gradient is exact.
PUBLISHED = {
    "factorised": {"learning_rate": 0.01, "baseline_decay": 0.9, "entropy_weight": 0.0},
    "lstm": {"learning_rate": 3.5e-4, "baseline_decay": 0.95, "entropy_weight": 0.01},
}


class Policy(Protocol):
    """A distribution over architectures that can be drawn from and moved."""

    def start(self, rng: Rng) -> Callable[[int], int]:
        """Begin a draw; return what answers for a decision with the number of its value (see `decide`)."""

    def learn(self, taken: Sequence[Picks], advantages: Sequence[float]) -> None:
        """Take one step up the mean of advantage times log-probability, plus the weighted entropy."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Reinforce(Strategy):
    """Draws a batch from the policy, then moves the policy by the batch's rewards less a moving average of rewards.

    The reward is the first objective, larger is better, in its own unit; a candidate that failed or violates a
    constraint gets the lowest reward seen so far. Draws are with replacement; an encoding drawn twice is answered from
    the ledger. Inert decisions are not drawn and do not enter the gradient. Recommends the best by validation.

    ``factorised`` has independent logits for every decision, ``lstm`` draws each decision given those before it. With
    its published rate the latter hardly moves within some hundreds of evaluations, for which it was not made.
    """

    class Config(StrategyConfig):
        controller: Literal["factorised", "lstm"] = "factorised"
        batch: int = Field(1, ge=1)
        # None: as published for the controller, see PUBLISHED.
        learning_rate: float | None = Field(None, gt=0)
        baseline_decay: float | None = Field(None, ge=0, lt=1)
        entropy_weight: float | None = Field(None, ge=0)  # reward that one nat of entropy is worth
        hidden: int = Field(100, ge=1)  # units of the LSTM

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._decisions = decision_space("reinforce", self.space)
        published = PUBLISHED[config.controller]
        rate, decay, entropy_weight = (
            published[name] if getattr(config, name) is None else getattr(config, name)
            for name in ("learning_rate", "baseline_decay", "entropy_weight")
        )
        counts = [len(choice.values) for choice in self._decisions.decisions]
        self._policy: Policy
        if config.controller == "factorised":
            self._policy = FactorisedPolicy(counts, rng, rate, entropy_weight)
        else:
            self._policy = _lstm_policy(counts, rng, rate, entropy_weight, config.hidden)
        self._batch = config.batch
        self._baseline = MovingAverage(decay)
        self._lowest = math.inf
        self._best = BestSeen(problem.objective)

    def ask(self) -> list[Proposal]:
        return [Proposal(self.sample(self.rng)) for _ in range(self._batch)]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        taken, rewards = [], []
        for evaluation in evaluations:
            score = self._best.add(evaluation)
            if score == -math.inf:
                score = self._lowest
            elif score < self._lowest:
                self._lowest = score
            if score < math.inf:  # else nothing has succeeded yet
                taken.append(picks_of(self._decisions, evaluation.architecture))
                rewards.append(score)
        if rewards:
            self._baseline.update(sum(rewards) / len(rewards))
            self._policy.learn(taken, [reward - self._baseline.value for reward in rewards])

    def sample(self, rng: Rng) -> Architecture:
        return decide(self._decisions, self._policy.start(rng))[0]

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "policy": self._policy.state_dict(),
            "baseline": self._baseline.state_dict(),
            "lowest": None if self._lowest == math.inf else self._lowest,
            "best": self._best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        self._policy.load_state_dict(state["policy"])
        self._baseline.load_state_dict(state["baseline"])
        self._lowest = math.inf if state["lowest"] is None else state["lowest"]
        self._best.load_state_dict(state["best"])


class MovingAverage:
    """An exponential moving average that starts at its first value instead of at 0."""

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._sum = 0.0
        self._weight = 0.0

    def update(self, value: float) -> None:
        """Take in a value."""
        self._sum = self._decay * self._sum + (1 - self._decay) * value
        self._weight = self._decay * self._weight + (1 - self._decay)

    @property
    def value(self) -> float:
        return self._sum / self._weight

    def state_dict(self) -> list[float]:
        return [self._sum, self._weight]

    def load_state_dict(self, state: list[float]) -> None:
        self._sum, self._weight = state


class FactorisedPolicy:
    """Independent categorical distributions, one for each decision: the policy of NAS-Bench-201's REINFORCE.

    ``counts`` are the numbers of values of the decisions. The logits [decisions, largest count] start near 0 and move
    by Adam (Kingma & Ba, ICLR 2015).
    """

    def __init__(self, counts: Sequence[int], rng: Rng, learning_rate: float, entropy_weight: float) -> None:
        shape = len(counts), max(counts)
        self._last = np.array(counts) - 1
        self._columns = np.arange(shape[1])
        absent = self._columns > self._last[:, None]
        self._logits = np.where(absent, ABSENT, INITIAL_SPREAD * rng.standard_normal(shape))
        self._entropy_weight = entropy_weight
        self._adam = Adam(shape, learning_rate)
        self._refresh()

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of every value of every decision [decisions, largest count], 0 where there is no such value."""
        return self._probabilities

    def start(self, rng: Rng) -> Callable[[int], int]:
        draws = rng.random((len(self._last), 1))
        picks: list[int] = np.minimum((self._cumulated < draws).sum(axis=1), self._last).tolist()
        return picks.__getitem__

    def learn(self, taken: Sequence[Picks], advantages: Sequence[float]) -> None:
        inert = -1
        positions = range(len(self._last))
        chosen = np.array([[picks.get(position, inert) for position in positions] for picks in taken])
        asked = (chosen != inert) / len(taken)
        pull = asked * np.array(advantages)[:, None]
        # Of the logarithm of a softmax the gradient is the picked value's indicator less the probabilities.
        gradient = (pull[:, :, None] * (self._columns == chosen[:, :, None])).sum(axis=0)
        gradient -= pull.sum(axis=0)[:, None] * self._probabilities
        if self._entropy_weight:
            share = asked.sum(axis=0)[:, None]
            logs = np.log(np.maximum(self._probabilities, SMALLEST))
            entropies = -(self._probabilities * logs).sum(axis=1, keepdims=True)
            gradient -= self._entropy_weight * share * self._probabilities * (logs + entropies)
        self._logits += self._adam.step(gradient)
        self._refresh()

    def state_dict(self) -> dict[str, Any]:
        return {"logits": self._logits.copy(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._logits = state["logits"].copy()
        self._adam.load_state_dict(state["adam"])
        self._refresh()

    def _refresh(self) -> None:
        exponentials = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        self._probabilities: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
        self._cumulated = self._probabilities.cumsum(axis=1)


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) with its published constants, for one array and uphill."""

    FIRST_DECAY = 0.9
    SECOND_DECAY = 0.999
    EPSILON = 1e-8

    def __init__(
        self, shape: tuple[int, ...], learning_rate: float, precision: type[np.floating[Any]] = np.float64
    ) -> None:
        self._learning_rate = learning_rate
        self._first = np.zeros(shape, precision)
        self._second = np.zeros(shape, precision)
        self._steps = 0
        # Kept: for large arrays getting new memory at each step takes longer than the arithmetic.
        self._change, self._scale = np.empty(shape, precision), np.empty(shape, precision)

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """Return by how much to change the array; the next step overwrites what is returned."""
        self._steps += 1
        change, scale = self._change, self._scale
        np.subtract(gradient, self._first, out=change)
        change *= 1 - self.FIRST_DECAY
        self._first += change
        np.multiply(gradient, gradient, out=scale)
        scale -= self._second
        scale *= 1 - self.SECOND_DECAY
        self._second += scale
        # Both moments start at 0; the corrections for it are scalars, gathered here as in section 2 of the paper.
        correction = math.sqrt(1 - self.SECOND_DECAY**self._steps)
        np.sqrt(self._second, out=scale)
        scale += self.EPSILON * correction
        np.multiply(self._first, self._learning_rate * correction / (1 - self.FIRST_DECAY**self._steps), out=change)
        change /= scale
        return change

    def state_dict(self) -> dict[str, Any]:
        return {"first": self._first.copy(), "second": self._second.copy(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._first, self._second = state["first"].copy(), state["second"].copy()
        self._steps = state["steps"]


def _lstm_policy(counts: Sequence[int], rng: Rng, rate: float, entropy_weight: float, hidden: int) -> LstmPolicy:
    from nasbench.strategies.lstm_policy import LstmPolicy

    return LstmPolicy(counts, int(rng.integers(2**63)), rate, entropy_weight, hidden)
