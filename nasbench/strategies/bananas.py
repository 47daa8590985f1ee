"""Bayesian optimisation with a predictor (White, Neiswanger, Savani, BANANAS, AAAI 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from threadpoolctl import ThreadpoolController

from nasbench.catalog import PREDICTORS, resolve
from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.predictor import Prediction, Predictor
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.predictors.skill import skill
from nasbench.predictors.targets import rank_normal
from nasbench.strategies.best_seen import BestSeen

ROUNDS_FOR_AN_UNSEEN_CANDIDATE = 20


class Bananas(Strategy):
    """Asks for what a predictor, fitted anew to all that was measured, expects most of; no isomorph twice.

    A random design of ``initial`` architectures comes first. Then, in batches: fit the predictor to the scores' normal
    quantiles, draw candidates (``mutants`` of the best ``parents`` measured, ``strangers`` from the whole space),
    and ask for the ``batch`` with the highest acquisition. What failed is not learned from and not asked for again;
    what violates a constraint ranks last. The search ends when no unseen candidate can be found. Recommends the best
    by validation.
    """

    class Config(StrategyConfig):
        # A built-in name or module:Name. The paper's own settings are predictor=ensemble and acquisition=thompson.
        predictor: str = "gaussian-process"
        # "ei": expected improvement on the best; "thompson": a draw from every candidate's own normal distribution
        # (independent Thompson sampling); "ucb": mean plus deviation.
        acquisition: Literal["ei", "thompson", "ucb"] = "ei"
        exploration: float = Field(1.0, ge=0)  # the factor of the deviation in the acquisition
        initial: int = Field(10, ge=1)
        batch: int | None = Field(None, ge=1)  # None: a tenth of what was measured so far, at least 1
        parents: int = Field(10, ge=1)
        mutants: int = Field(200, ge=0)
        strangers: int = Field(200, ge=1)

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._config = config
        self._predictor: Predictor = resolve("predictor", config.predictor, PREDICTORS)(self.space, rng)
        # Matrices of a few hundred rows: a second thread gains nothing, and threads that wait for a core that another
        # search has are many times slower than one.
        self._libraries = ThreadpoolController()
        self._measured: dict[Architecture, float] = {}
        self._seen: dict[Architecture, None] = {}  # one architecture an isomorphism class, in the order told
        self._best = BestSeen(problem.objective)

    def ask(self) -> list[Proposal]:
        missing = self._config.initial - len(self._seen)
        if missing > 0 or len(self._measured) < 2:
            return [Proposal(architecture) for architecture in self._random_design(max(missing, 1))]
        candidates = self._candidates()
        if not candidates:
            return []
        scores = np.fromiter(self._measured.values(), dtype=np.float64)
        targets = rank_normal(scores)
        with self._libraries.limit(limits=1):
            self._predictor.fit(list(self._measured), targets)
            prediction = self._predictor.predict(candidates)
        values = self._acquisition(prediction, targets.max())
        chosen = np.argsort(-values, kind="stable")[: self._batch]
        return [Proposal(candidates[i]) for i in chosen.tolist()]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            score = self._best.add(evaluation)
            self._seen[self.space.canonical(evaluation.architecture)] = None
            if evaluation.status == "ok":
                self._measured[evaluation.architecture] = score

    def sample(self, rng: Rng) -> Architecture:
        parents = self._best.architectures(self._config.parents)
        return self._mutant(parents, rng) if parents else self.space.sample(rng)

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    def predictor_skill(self) -> dict[str, Any] | None:
        """Return how well the predictor ranks what was measured, each architecture left out of what it learns from.

        Rank correlations, -1 to 1, of predicted and measured scores; None with less than three of them.
        """
        if len(self._measured) < 3:
            return None
        rng = generator(0, "skill")
        predictor = resolve("predictor", self._config.predictor, PREDICTORS)(self.space, rng)
        targets = rank_normal(np.fromiter(self._measured.values(), dtype=np.float64))
        with self._libraries.limit(limits=1):
            kendall, spearman, _ = skill(predictor, list(self._measured), targets, rng, folds=None)
        name, learned = self._config.predictor, len(targets)
        return {"name": name, "architectures": learned, "kendall": kendall, "spearman": spearman}

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "measured": [[architecture.to_json(), score] for architecture, score in self._measured.items()],
            "seen": [architecture.to_json() for architecture in self._seen],
            "best": self._best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        self._measured = {Architecture.from_json(architecture): score for architecture, score in state["measured"]}
        self._seen = dict.fromkeys(Architecture.from_json(architecture) for architecture in state["seen"])
        self._best.load_state_dict(state["best"])

    @property
    def _batch(self) -> int:
        return self._config.batch or max(1, len(self._measured) // 10)

    def _random_design(self, count: int) -> list[Architecture]:
        design: dict[Architecture, Architecture] = {}
        for _ in range(ROUNDS_FOR_AN_UNSEEN_CANDIDATE):
            self._add_unseen(self.space.sample_many(self.rng, count), design)
            if len(design) >= count:
                break
        return list(design.values())[:count]

    def _candidates(self) -> list[Architecture]:
        """Return unseen candidates, one an isomorphism class."""
        parents = self._best.architectures(self._config.parents)
        candidates: dict[Architecture, Architecture] = {}
        for _ in range(ROUNDS_FOR_AN_UNSEEN_CANDIDATE):
            drawn = [self._mutant(parents, self.rng) for _ in range(self._config.mutants if parents else 0)]
            self._add_unseen(drawn + self.space.sample_many(self.rng, self._config.strangers), candidates)
            if len(candidates) >= self._batch:
                break
        return list(candidates.values())

    def _add_unseen(self, drawn: Sequence[Architecture], found: dict[Architecture, Architecture]) -> None:
        """Add those of which no isomorph was seen, by their representative; the first of isomorphs stays."""
        for architecture in drawn:
            representative = self.space.canonical(architecture)
            if representative not in self._seen:
                found.setdefault(representative, architecture)

    def _mutant(self, parents: Sequence[Architecture], rng: Rng) -> Architecture:
        """Mutate one of the parents once, or with probability 1/2 twice, 1/4 three times and so on."""
        mutant = parents[int(rng.random() * len(parents))]
        for _ in range(int(rng.geometric(0.5))):
            mutant = self.space.mutate(mutant, rng)
        return mutant

    def _acquisition(self, prediction: Prediction, best: float) -> np.ndarray:
        mean = prediction.mean
        std = self._config.exploration * (np.zeros_like(mean) if prediction.std is None else prediction.std)
        if self._config.acquisition == "thompson":
            return mean + std * self.rng.standard_normal(len(mean))
        if self._config.acquisition == "ucb":
            return mean + std
        return expected_improvement(mean, std, best)


def expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Return how much a normal variable is expected to exceed ``best`` (Jones et al., 1998, equation 15): [n].

    Where nothing is uncertain and the mean is no better, the (negative) distance to the best, so that they have an
    order, too.
    """
    from scipy.special import ndtr

    gain = mean - best
    z = gain / np.maximum(std, 1e-12)
    improvement: np.ndarray = gain * ndtr(z) + std * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.where(improvement > 0, improvement, np.minimum(gain, 0.0))
