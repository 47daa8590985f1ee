"""Conservative search: keep the best architecture, and decide one class of its decisions anew.

The explorer of Auto-GNN (Zhou, Song, Huang, Hu, arXiv 1909.03184, 2019), here with uniform draws: what is left of the
method where nothing is learned, and so what its controller (`nasbench.strategies.agnn`) has to beat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen
from nasbench.strategies.deciding import decision_space
from nasbench.strategies.decision_classes import Classes, decision_classes

TRIES_FOR_AN_UNSEEN_STRANGER = 200


class Conservative(Strategy):
    """Asks for one offspring of the best architecture at a time, which differs from it in one class of decisions.

    A class is a group of decisions, or each decision (``classes``). Which one is drawn by the entropy of its policy,
    summed over its decisions; so with uniform policies, as here, by the logarithm of its number of combinations. The
    offspring becomes the best if it scores higher; ties and failures keep the old. It is drawn again, a number of
    times, if it is isomorphic to anything seen (or, without ``unseen``, if it is the best itself), then from other
    classes; where no class gives one, from more classes at once, and at last from the whole space. The search ends when
    that gives nothing new either. Inert decisions keep the value they have. Recommends the best by validation.
    """

    class Config(StrategyConfig):
        # None: groups where there are two or more; Auto-GNN's and AutoGL's classes are groups of decisions.
        classes: Classes | None = None
        # How many classes an offspring may differ in: one, as in AutoGL.
        classes_changed: int = Field(1, ge=1)
        # By entropy: "sample" from its softmax (AutoGL's guide_type 1, its default) or "argmax" (its guide_type 0);
        # "uniform" ignores it (ours).
        choice: Literal["sample", "argmax", "uniform"] = "sample"
        # "raw": summed over decisions, so that classes of many and of large decisions are preferred (as in AutoGL);
        # "normalised": as a share of the largest that is possible (ours).
        entropy: Literal["raw", "normalised"] = "raw"
        # Ours: what is isomorphic to something seen is not asked for again.
        unseen: bool = True
        # Ours: how often a class is drawn from again before another class is tried.
        resamples: int = Field(20, ge=0)
        # Ours: go on from a random architecture after so many evaluations without a better one; None: never.
        restart_after: int | None = Field(None, ge=1)

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._settings = config
        self._decisions = decision_space(type(self).__name__, self.space)
        self._classes = decision_classes(self._decisions, config.classes)
        self._numbers = [{value: i for i, value in enumerate(c.values)} for c in self._decisions.decisions]
        self._centre: Architecture | None = None  # what offspring differ from, and its score
        self._score = -math.inf
        self._waited = 0  # evaluations since the centre was found
        # The classes in which what was asked for last may differ from the centre; none: a stranger; None: a new centre.
        self._changed: list[int] | None = None
        self._seen: set[Architecture] = set()
        self._best = BestSeen(problem.objective)
        self._is_open: list[bool] | None = None  # by decision, given the centre
        self._known: dict[int, list[np.ndarray]] = {}  # policies by class, given the centre

    # -- the contract of a strategy ------------------------------------------------------------------------------------
    def ask(self) -> list[Proposal]:
        patience = self._settings.restart_after
        if self._centre is None or (patience is not None and self._waited >= patience):
            found, self._changed = self._stranger(), None
        else:
            found = self._offspring()
        if found is None:
            return []
        if self._settings.unseen:
            self._seen.add(self.space.canonical(found))
        return [Proposal(found)]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            score = self._best.add(evaluation)
            self._learn(evaluation.architecture, score)
            self._waited += 1
            if score > (-math.inf if self._changed is None else self._score):
                self._centre, self._score, self._waited = evaluation.architecture, score, 0
                self._forget()

    def sample(self, rng: Rng) -> Architecture:
        if self._centre is None:
            return self.space.sample(rng)
        return self._draw(next(self._choices(self._settings.classes_changed, rng), []), 1, rng)[0]

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "centre": None if self._centre is None else [self._centre.to_json(), self._score],
            "waited": self._waited,
            "changed": self._changed,
            "seen": sorted((architecture.to_json() for architecture in self._seen), key=repr),
            "best": self._best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        centre = state["centre"]
        self._centre, self._score = (
            (None, -math.inf) if centre is None else (Architecture.from_json(centre[0]), centre[1])
        )
        self._waited, self._changed = state["waited"], state["changed"]
        self._seen = {Architecture.from_json(architecture) for architecture in state["seen"]}
        self._best.load_state_dict(state["best"])
        self._forget()

    # -- what a controller replaces ------------------------------------------------------------------------------------
    def _policy(self, number: int) -> list[np.ndarray]:
        """Return the probabilities [values] of every open decision of a class, given the centre."""
        counts = [len(self._decisions.decisions[position].values) for position in self._open(number)]
        return [np.full(count, 1 / count) for count in counts]

    def _learn(self, architecture: Architecture, score: float) -> None:
        """Learn from the score (minus infinity: failed) of what was asked for, before it can become the centre."""

    # -- drawing -------------------------------------------------------------------------------------------------------
    def _open(self, number: int) -> list[int]:
        """Return the positions in a class at which, given the centre, something can be decided."""
        if self._is_open is None:
            assert self._centre is not None
            active = self._decisions.active(self._decisions.choices(self._centre))
            self._is_open = [a and len(c.values) > 1 for a, c in zip(active, self._decisions.decisions, strict=True)]
        return [position for position in self._classes[number] if self._is_open[position]]

    def _policies(self, number: int) -> list[np.ndarray]:
        """Return `_policy`, kept until it changes."""
        if number not in self._known:
            self._known[number] = self._policy(number)
        return self._known[number]

    def _entropy(self, number: int) -> float:
        """Return the entropy of a class, in nats or as a share of the largest."""
        policies = self._policies(number)
        total = -sum(float(p @ np.log(p)) for p in policies)
        return total if self._settings.entropy == "raw" else total / sum(math.log(len(p)) for p in policies)

    def _forget(self, number: int | None = None) -> None:
        """The policy of a class has changed; None: the centre, and so all of them."""
        if number is None:
            self._is_open = None
            self._known.clear()
        else:
            self._known.pop(number, None)

    def _choices(self, count: int, rng: Rng) -> Iterator[list[int]]:
        """Yield which classes to decide anew, ``count`` of them: first the choice by entropy, then random others."""
        classes = [number for number in range(len(self._classes)) if self._open(number)]
        if not classes:
            return
        # The largest sums of logits and Gumbel noise are a draw from their softmax without replacement.
        noise = rng.gumbel(size=len(classes)) if self._settings.choice != "argmax" else np.zeros(len(classes))
        if self._settings.choice != "uniform":
            noise += [self._entropy(number) for number in classes]
        yield [classes[i] for i in np.argsort(-noise, kind="stable")[:count].tolist()]
        if count < len(classes):
            others = [classes[i] for i in rng.permutation(len(classes)).tolist()]
            yield from ((others * 2)[first : first + count] for first in range(len(others)))

    def _draw(self, classes: Sequence[int], count: int, rng: Rng) -> list[Architecture]:
        """Return so many draws that differ from the centre in no other than these classes."""
        assert self._centre is not None
        specs = [list(self._centre.spec) for _ in range(count)]
        for number in classes:
            for position, probabilities in zip(self._open(number), self._policies(number), strict=True):
                cumulated = probabilities.cumsum()
                picks = cumulated[:-1].searchsorted(rng.random(count) * cumulated[-1], side="right").tolist()
                values = self._decisions.decisions[position].values
                for spec, pick in zip(specs, picks, strict=True):
                    spec[position] = values[pick]
        return [Architecture(self.space.name, tuple(spec)) for spec in specs]

    def _offspring(self) -> Architecture | None:
        """Return a new offspring of the centre, or a stranger, and note what it differs in."""
        for count in range(min(self._settings.classes_changed, len(self._classes)), len(self._classes) + 1):
            for changed in self._choices(count, self.rng):
                for drawn in self._draw(changed, 1 + self._settings.resamples, self.rng):
                    if self._is_new(drawn):
                        self._changed = changed
                        return drawn
        self._changed = []
        return self._stranger()

    def _stranger(self) -> Architecture | None:
        tries = (self.space.sample(self.rng) for _ in range(TRIES_FOR_AN_UNSEEN_STRANGER))
        return next((drawn for drawn in tries if self._is_new(drawn)), None)

    def _is_new(self, architecture: Architecture) -> bool:
        if self._settings.unseen:
            return self.space.canonical(architecture) not in self._seen
        return architecture != self._centre
