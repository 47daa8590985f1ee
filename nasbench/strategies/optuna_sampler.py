"""The samplers of Optuna (Akiba et al., KDD 2019) as search strategies, by ask and tell."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Objective, Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen
from nasbench.strategies.deciding import decide, decision_space, picks_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

    from nasbench.strategies.optuna_copy import StudyCopy
    from nasbench.strategies.optuna_parameters import Parameter

TRIES_FOR_AN_UNSEEN_CANDIDATE = 20
Values = list[float] | None  # of the objectives; None for a failed candidate


class OptunaSampler(Strategy):
    """Optuna's samplers: TPE, Gaussian process, CMA-ES, NSGA-II, NSGA-III and random, as they come.

    A decision is a categorical parameter of its name; values that Optuna cannot hold (tuples) are given by their text.
    Conditional decisions are asked for only where they are active. CMA-ES moves in a space of numbers: every decision
    must have numeric values, of which it sees the rank, and none may be conditional. All objectives and constraints of
    the problem are told; failed candidates as failed. Duplicates are asked for again as the sampler likes, unless
    ``unique``: then a candidate isomorphic to one asked before is told as failed and another one is drawn, in the end
    at random. Recommends the best by validation, by the first objective.

    Every trial has a sampler of its own, seeded from the strategy's generator, so that a search depends on generator
    and trials alone and can go on after a restart; of what samplers remember besides, only the Gaussian process's last
    kernel is missed, and it is fitted anew.
    """

    several_objectives = True

    class Config(StrategyConfig):
        sampler: Literal["tpe", "gp", "cmaes", "nsga2", "nsga3", "random"] = "tpe"
        batch: int = Field(1, ge=1)  # candidates asked for at once, which several workers can share
        unique: bool = False
        startup: int | None = Field(None, ge=1)  # random trials first (tpe, gp, cmaes); None: as many as Optuna does
        population: int = Field(50, ge=2)  # of nsga2 and nsga3
        # Where Optuna's dashboard can watch the search, such as sqlite:///study.db; it gets a copy of all trials.
        storage: str | None = None

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._config = config
        self._decisions = decision_space("optuna", self.space)
        _check_installed(config.sampler)
        if config.sampler == "cmaes":
            _check_numeric(self._decisions, problem.objectives)
        # CMA-ES knows no constraints; for it, what violates one has failed.
        self._constraints = () if config.sampler == "cmaes" else problem.constraints
        self._objectives = (problem.objective,) if config.sampler == "cmaes" else problem.objectives
        self._parameters = self._new_parameters()
        self._always = {
            parameter.name: parameter.distribution
            for parameter, choice in zip(self._parameters, self._decisions.decisions, strict=True)
            if choice.active is None
        }
        self._study = self._new_study()
        self._copy: StudyCopy | None = None
        self._open: list[Trial] = []
        self._seen: set[Architecture] = set()
        self._best = BestSeen(problem.objective)
        self._first_rng = generator_state(rng)
        self._told: list[list[Values]] = []

    def ask(self) -> list[Proposal]:
        with _quiet():
            if self._config.storage is not None and self._copy is None:
                self._copy = self._new_copy(self._config.storage)
            return [Proposal(architecture) for architecture in self._draw_batch()]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        with _quiet():
            for trial, evaluation in zip(self._open, evaluations, strict=False):
                self._best.add(evaluation)
                if evaluation.status == "ok":
                    for constraint in self._constraints:
                        trial.set_constraint(str(constraint), constraint.violation(evaluation))
            self._finish([_values(self._objectives, evaluation) for evaluation in evaluations])
            if self._copy is not None:
                self._copy.add(self._study.get_trials(deepcopy=False))

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    # -- state -------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Return all trials with what samplers wrote into them; of CMA-ES what it was told, to live through it again.

        For CMA-ES keeps its optimiser in the trials as a pickle, and a state holds none.
        """
        state: dict[str, Any] = {"best": self._best.state_dict()}
        if self._config.sampler == "cmaes":
            return {**state, "rng": self._first_rng, "told": list(self._told)}
        trials = self._study.get_trials(deepcopy=False)
        return {
            **state,
            "rng": generator_state(self.rng),
            "seen": sorted((architecture.to_json() for architecture in self._seen), key=repr),
            "study": self._storage.get_study_system_attrs(self._study_id),
            "trials": [[trial.params, trial.values, trial.system_attrs] for trial in trials],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        from optuna.trial import TrialState, create_trial

        restore_generator(self.rng, state["rng"])
        self._best.load_state_dict(state["best"])
        with _quiet():
            self._study = self._new_study()
            if self._config.sampler == "cmaes":
                self._first_rng, self._seen, self._told = state["rng"], set(), []
                for values in state["told"]:
                    self._draw_batch()
                    self._finish(values)
                return
            self._seen = {Architecture.from_json(architecture) for architecture in state["seen"]}
            for name, value in state["study"].items():
                self._storage.set_study_system_attr(self._study_id, name, value)
            distributions = {parameter.name: parameter.distribution for parameter in self._parameters}
            for params, values, attributes in state["trials"]:
                self._study.add_trial(
                    create_trial(
                        state=TrialState.FAIL if values is None else TrialState.COMPLETE,
                        params=params,
                        distributions={name: distributions[name] for name in params},
                        values=values,
                        system_attrs=attributes,
                    )
                )

    # -- one trial ---------------------------------------------------------------------------------------------------
    def _draw_batch(self) -> list[Architecture]:
        draw = self._draw_unseen if self._config.unique else self._draw
        drawn = [candidate for _ in range(self._config.batch) if (candidate := draw()) is not None]
        self._open = [trial for trial, _ in drawn]
        return [architecture for _, architecture in drawn]

    def _draw(self) -> tuple[Trial, Architecture]:
        sampler, last = self._new_sampler(int(self.rng.integers(2**32))), self._study.sampler
        if type(last) is type(sampler) and hasattr(last, "_search_space"):
            # What the parameters of all trials have in common: a sampler keeps it up to date or finds it anew.
            sampler._search_space = last._search_space  # type: ignore[attr-defined]
        self._study.sampler = sampler
        trial = self._study.ask(self._always)
        given = trial.params
        architecture, _ = decide(self._decisions, lambda position: self._parameters[position].suggest(trial, given))
        return trial, architecture

    def _draw_unseen(self) -> tuple[Trial, Architecture] | None:
        from optuna.trial import TrialState

        for attempt in range(2 * TRIES_FOR_AN_UNSEEN_CANDIDATE):
            if attempt >= TRIES_FOR_AN_UNSEEN_CANDIDATE:  # the sampler insists on what it has seen
                picks = picks_of(self._decisions, self.space.sample(self.rng))
                parameters = [self._parameters[position] for position in picks]
                self._study.enqueue_trial(
                    {p.name: p.outside(pick) for p, pick in zip(parameters, picks.values(), strict=True)}
                )
            trial, architecture = self._draw()
            representative = self.space.canonical(architecture)
            if representative not in self._seen:
                self._seen.add(representative)
                return trial, architecture
            self._study.tell(trial, state=TrialState.FAIL)
        return None

    def _finish(self, batch: list[Values]) -> None:
        """Tell the values of the trials asked last; what was asked and never scored has failed."""
        from optuna.trial import TrialState

        if self._config.sampler == "cmaes":
            self._told.append(batch)
        for trial, values in zip_longest(self._open, batch):
            state = TrialState.FAIL if values is None else TrialState.COMPLETE
            self._study.tell(trial, values=values, state=state)
        self._open = []

    # -- Optuna's objects --------------------------------------------------------------------------------------------
    def _new_study(self) -> Study:
        import optuna

        self._storage = optuna.storages.InMemoryStorage()
        with _quiet():
            study = optuna.create_study(storage=self._storage, study_name=self._name, directions=self._directions)
        self._study_id = self._storage.get_study_id_from_name(self._name)
        return study

    def _new_parameters(self) -> list[Parameter]:
        from nasbench.strategies.optuna_parameters import Parameter

        ranked = self._config.sampler == "cmaes"
        return [Parameter(choice, ranked) for choice in self._decisions.decisions]

    def _new_copy(self, url: str) -> StudyCopy:
        from nasbench.strategies.optuna_copy import StudyCopy

        return StudyCopy(url, self._name, self._directions, [objective.name for objective in self._objectives])

    @property
    def _name(self) -> str:
        return f"nasbench {self.space.name} {self._config.sampler} seed {self.problem.seed}"

    @property
    def _directions(self) -> list[Literal["minimize", "maximize"]]:
        return ["maximize" if objective.maximize else "minimize" for objective in self._objectives]

    def _new_sampler(self, seed: int) -> BaseSampler:
        from optuna import samplers

        config = self._config
        startup = config.startup or (1 if config.sampler == "cmaes" else 10)  # Optuna's own defaults
        match config.sampler:
            case "tpe":
                conditional = any(choice.active is not None for choice in self._decisions.decisions)
                busy = config.batch > 1
                return samplers.TPESampler(seed=seed, n_startup_trials=startup, group=conditional, constant_liar=busy)
            case "gp":
                return samplers.GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
            case "cmaes":  # with margins, so that a rank cannot freeze (Hamano et al., GECCO 2022)
                return samplers.CmaEsSampler(seed=seed, n_startup_trials=startup, with_margin=True)
            case "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=config.population)
            case "nsga3":
                return samplers.NSGAIIISampler(seed=seed, population_size=config.population)
            case "random":
                return samplers.RandomSampler(seed=seed)


def _values(objectives: Sequence[Objective], evaluation: Evaluation) -> Values:
    scores = [objective.score(evaluation) for objective in objectives]
    if not all(math.isfinite(score) for score in scores):
        return None
    return [score if objective.maximize else -score for objective, score in zip(objectives, scores, strict=True)]


def _check_installed(sampler: str) -> None:
    needed = ["optuna", "cmaes"] if sampler == "cmaes" else ["optuna"]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInput(f"sampler={sampler} needs the package '{missing[0]}': pip install 'nasbench[optuna]'.")


def _check_numeric(space: DecisionSpace, objectives: Sequence[Objective]) -> None:
    """Raise BadInput unless CMA-ES applies."""
    if len(objectives) > 1:
        raise BadInput("sampler=cmaes has one objective; take nsga2, nsga3, tpe or gp for several.")
    for choice in space.decisions:
        odd = [value for value in choice.values if isinstance(value, bool) or not isinstance(value, (int, float))]
        if odd:
            raise BadInput(
                f"sampler=cmaes moves along ordered numbers, and decision '{choice.name}' of space '{space.name}' can "
                f"be {odd[0]!r}; take tpe, gp, nsga2, nsga3 or random."
            )
        if choice.active is not None:
            raise BadInput(
                f"sampler=cmaes needs every decision in every candidate, and '{choice.name}' of space '{space.name}' "
                "is conditional; take tpe, gp, nsga2, nsga3 or random."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log lines and its notes on experimental features away, and leave the caller's settings alone."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
