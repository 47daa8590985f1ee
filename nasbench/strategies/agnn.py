"""Auto-GNN's reinforced conservative controller (Zhou, Song, Huang, Hu, arXiv 1909.03184, 2019).

The paper searches graph neural networks; the controller works on any space of decisions. What the paper leaves open is
as in AutoGL's reimplementation (``autogl/module/nas/algorithm/agnn_rl.py``), where nothing else is said.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import Field

from nasbench.core.architecture import Architecture
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng
from nasbench.strategies.conservative import Conservative
from nasbench.strategies.decision_classes import decision_kinds
from nasbench.strategies.recurrent import Answer, DecisionLstm, Trace


class AutoGnn(Conservative):
    """The conservative search in which every class of decisions has a recurrent policy of its own.

    The encoder of a class reads the best architecture without that class, then gives one categorical distribution for
    each of the class's decisions (each layer). The class with much entropy is likely to be decided anew. The reward of
    an offspring is its score less that of the best, in the score's unit, plus the weighted entropy of what it was drawn
    from; the encoder takes a step of REINFORCE with the moving average of earlier rewards as the baseline. A failed
    offspring counts as the lowest score seen. With its published rate it moves little within some hundreds of
    evaluations: compare it with `Conservative`, which is the same without learning.
    """

    class Config(Conservative.Config):
        # Adam's rate, units of the LSTM and decay of the baseline: AutoGL's.
        learning_rate: float = Field(3.5e-4, gt=0)
        hidden: int = Field(100, ge=1)
        baseline_decay: float = Field(0.95, ge=0, lt=1)
        # What one nat is worth: AutoGL's 1e-4 is for accuracies from 0 to 1, and rewards here are percentages.
        entropy_weight: float = Field(0.01, ge=0)

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._kinds, counts = decision_kinds(self._decisions)
        self._encoders = [DecisionLstm(counts, config.hidden, rng, config.learning_rate) for _ in self._classes]
        self._decay, self._entropy_weight = config.baseline_decay, config.entropy_weight
        self._baseline: float | None = None
        self._lowest = math.inf
        self._read: dict[int, tuple[Trace, list[Answer]]] = {}

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "encoders": [encoder.state_dict() for encoder in self._encoders],
            "baseline": self._baseline,
            "lowest": None if self._lowest == math.inf else self._lowest,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for encoder, its_state in zip(self._encoders, state["encoders"], strict=True):
            encoder.load_state_dict(its_state)
        self._baseline = state["baseline"]
        self._lowest = math.inf if state["lowest"] is None else state["lowest"]

    def _policy(self, number: int) -> list[np.ndarray]:
        trace, answers = self._encode(number)
        self._read[number] = trace, answers
        return [answer.probabilities for answer in answers]

    def _encode(self, number: int) -> tuple[Trace, list[Answer]]:
        """Let the encoder of a class read the centre without it; return the trace, and an answer an open decision."""
        assert self._centre is not None
        encoder, own, open_here = self._encoders[number], set(self._classes[number]), set(self._open(number))
        trace = encoder.begin()
        matters = self._decisions.active(self._decisions.choices(self._centre))
        for position, value in enumerate(self._centre.spec):
            if position not in own:  # an inert decision is read as zeros
                kind = self._kinds[position] if matters[position] else None
                encoder.step(trace, kind, self._numbers[position][value])
        answers = []
        for position in self._classes[number]:
            encoder.step(trace)
            if position in open_here:
                answers.append(encoder.answer(trace, self._kinds[position]))
        return trace, answers

    def _learn(self, architecture: Architecture, score: float) -> None:
        score = self._lowest if score == -math.inf else score
        self._lowest = min(self._lowest, score)
        if not self._changed:
            return
        for number in self._changed:
            self._policies(number)  # where a search was restored between asking and telling
        entropy = sum(answer.entropy for number in self._changed for answer in self._read[number][1])
        reward = score - self._score + self._entropy_weight * entropy
        # The advantage is over the rewards before: with this one among them it would be the smaller for it.
        advantage = 0.0 if self._baseline is None else reward - self._baseline
        decay = 0.0 if self._baseline is None else self._decay
        self._baseline = reward if self._baseline is None else decay * self._baseline + (1 - decay) * reward
        for number in self._changed:
            trace, answers = self._read[number]
            picks = [self._numbers[position][architecture.spec[position]] for position in self._open(number)]
            pulls = [(answer, pick, advantage) for answer, pick in zip(answers, picks, strict=True)]
            self._encoders[number].ascend(trace, pulls)
            self._forget(number)
