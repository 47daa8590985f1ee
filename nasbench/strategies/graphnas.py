"""GraphNAS (Gao et al., arXiv 1904.09981, IJCAI 2020): a recurrent controller that writes the whole architecture.

After the authors' code, ``graphnas/graphnas_controller.py`` and ``graphnas/trainer.py`` of ``GraphNAS/GraphNAS``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen
from nasbench.strategies.deciding import Picks, decide, decision_space, picks_of
from nasbench.strategies.decision_classes import decision_kinds
from nasbench.strategies.recurrent import Answer, DecisionLstm, Trace, pick_from


class GraphNas(Strategy):
    """Draws one architecture, decision after decision, and takes a step of REINFORCE for it.

    Each decision is drawn given those before it; decisions of one kind (one group, the same values) share embedding and
    logits, as layers do in the paper. Each decision has its own reward, the score plus the weighted entropy of what it
    was drawn from, and its own moving average as the baseline, which contains the reward itself. Draws are with
    replacement; a failed candidate counts as the lowest score seen. Recommends the best by validation.

    The authors' code also draws 100 architectures after each 100 without learning from them, and rescales the advantage
    by the largest of the last ten, which has no bound; neither is done here.
    """

    class Config(StrategyConfig):
        # All from the authors' graphnas/main.py; their weight of 1e-4 is for accuracies from 0 to 1, and rewards here
        # are percentages.
        hidden: int = Field(100, ge=1)
        learning_rate: float = Field(3.5e-4, gt=0)
        baseline_decay: float = Field(0.95, ge=0, lt=1)
        entropy_weight: float = Field(0.01, ge=0)

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._decisions = decision_space("graphnas", self.space)
        self._kinds, counts = decision_kinds(self._decisions)
        self._controller = DecisionLstm(counts, config.hidden, rng, config.learning_rate)
        self._decay, self._entropy_weight = config.baseline_decay, config.entropy_weight
        self._baselines = np.full(len(self._kinds), np.nan)  # by decision; NaN: never drawn
        self._lowest = math.inf
        self._best = BestSeen(problem.objective)

    def ask(self) -> list[Proposal]:
        return [Proposal(self.sample(self.rng))]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            score = self._best.add(evaluation)
            score = self._lowest if score == -math.inf else score
            if score < math.inf:  # else nothing has succeeded yet
                self._lowest = min(self._lowest, score)
                self._reinforce(picks_of(self._decisions, evaluation.architecture), score)

    def sample(self, rng: Rng) -> Architecture:
        trace = self._controller.begin()
        last: tuple[int | None, int] = (None, 0)

        def choose(position: int) -> int:
            nonlocal last
            self._controller.step(trace, *last)
            kind = self._kinds[position]
            last = kind, pick_from(self._controller.answer(trace, kind).probabilities, rng.random())
            return last[1]

        return decide(self._decisions, choose)[0]

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "controller": self._controller.state_dict(),
            "baselines": self._baselines.copy(),
            "lowest": None if self._lowest == math.inf else self._lowest,
            "best": self._best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        self._controller.load_state_dict(state["controller"])
        self._baselines = state["baselines"].copy()
        self._lowest = math.inf if state["lowest"] is None else state["lowest"]
        self._best.load_state_dict(state["best"])

    def _read(self, picks: Picks) -> tuple[Trace, list[Answer]]:
        """Let the controller take these decisions; return the trace, and the distribution each was drawn from."""
        trace, answers = self._controller.begin(), []
        last: tuple[int | None, int] = (None, 0)
        for position, pick in picks.items():
            self._controller.step(trace, *last)
            answers.append(self._controller.answer(trace, self._kinds[position]))
            last = self._kinds[position], pick
        return trace, answers

    def _reinforce(self, picks: Picks, score: float) -> None:
        trace, answers = self._read(picks)
        pulls = []
        for (position, pick), answer in zip(picks.items(), answers, strict=True):
            reward = score + self._entropy_weight * answer.entropy
            before = float(self._baselines[position])
            baseline = reward if math.isnan(before) else self._decay * before + (1 - self._decay) * reward
            self._baselines[position] = baseline
            pulls.append((answer, pick, reward - baseline))
        self._controller.ascend(trace, pulls)
