"""Build the parts of a run from its configuration: the only place where names become objects."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench.catalog import EVALUATORS, SPACES, STRATEGIES, look_for_modules_in, resolve
from nasbench.core.abilities import ABILITIES, Relaxable
from nasbench.core.configuration import validated
from nasbench.core.errors import BadInput, MissingAbility, NasbenchError
from nasbench.core.evaluation import Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.locations import cache_folder
from nasbench.core.objectives import costs_of, parse_constraints, parse_objectives
from nasbench.core.problem import GRAPH_KINDS, Budget, Objective, Problem, SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.recipes import recipes_for
from nasbench.experiments.config import RunConfig, config_model, needs_shared_weights
from nasbench.tables.table import datasets

if TYPE_CHECKING:
    from nasbench.datasets.splits import LoadedTask
    from nasbench.networks.shared_weights import SharedWeights
    from nasbench.protocol.table_judge import TableJudge
    from nasbench.protocol.training_judge import TrainingJudge
    from nasbench.tables.table import Benchmark

NO_HELD_OUT = "no held-out score"
"""The words in place of a verdict where a benchmark has one score for all purposes."""

SHUFFLED = (
    "With shuffled rewards a search sees the validation accuracies of other architectures, dealt anew for every seed. "
    "It is a control and no result: on average it ends with an average random architecture, unless it knows more than "
    "the scores that it is told."
)


@dataclass
class Parts:
    """The objects of one run, built when first asked for."""

    config: RunConfig
    data_dir: Path | None
    folder: Path | None = None  # where a resumed run was started, if elsewhere: relative paths and modules lie there

    def __post_init__(self) -> None:
        look_for_modules_in(self.folder)

    def sharing(self, config: RunConfig) -> Parts:
        """Return the parts of another run, which takes over space, table and judge if it looks up in the same table."""
        other = Parts(config, self.data_dir, self.folder)
        same = (config.space, config.dataset) == (self.config.space, self.config.dataset)
        if same and self.on_table and other.on_table and self._several_epochs == other._several_epochs:
            other.space, other.table = self.space, self.table
            if self.judged:
                other.table_judge = self.table_judge
        return other

    @cached_property
    def space(self) -> SearchSpace:
        part = self.config.space
        target = resolve("space", part.name, SPACES)
        if isinstance(target, type):
            target = _built("space", part.name, lambda: target(**part.settings))
        if not isinstance(target, SearchSpace):
            raise BadInput(f"'{part.name}' is a {type(target).__name__}, not a search space.")
        if not isinstance(getattr(target, "name", None), str):
            raise BadInput(f"space '{part.name}' has no name; set the class attribute 'name'.")
        return target

    @property
    def on_table(self) -> bool:
        return self.config.evaluator.name == "table"

    @cached_property
    def table(self) -> Benchmark:
        from nasbench.tables.table import load_table

        return load_table(
            self.config.space.name, self.config.dataset, self.data_dir, several_epochs=self._several_epochs
        )

    @property
    def _several_epochs(self) -> bool:
        """Whether the strategy asks a table for scores at several numbers of epochs."""
        strategy = resolve("strategy", self.config.strategy.name, STRATEGIES)
        return "epochs" in getattr(strategy, "fidelities", ())

    @cached_property
    def loaded(self) -> LoadedTask:
        from nasbench.datasets.load import divide, load_task_with_split

        recipe, name = self.config.recipe, self.config.dataset
        if recipe is None:
            raise BadInput(f"the evaluator '{self.config.evaluator.name}' needs a recipe, and this run has none.")
        path, split = divide(name)
        if self.folder is not None and not Path(path).exists() and (self.folder / path).exists():
            name = str(self.folder / path) + ("" if split is None else f"@{split}")
        loaded = load_task_with_split(
            name, data_dir=self.data_dir, split_seed=recipe.split_seed, validation=recipe.validation
        )
        self.check_data(loaded.task.search)
        return loaded

    def check_data(self, search: SearchTask) -> None:
        """Raise BadInput for data that are of another kind than the space's networks or the recipe are for."""
        recipe, name, kinds = self.config.recipe, self.config.dataset, self.space.task_kinds
        if kinds and search.kind not in kinds:
            wanted = "' or '".join(kinds)
            way_out = ", or look results up with --evaluator table" if datasets(self.config.space.name) else ""
            raise BadInput(
                f"the networks of '{self.space.name}' are for data of kind '{wanted}', and '{name}' is of kind "
                f"'{search.kind}'; choose other data{way_out}."
            )
        on_graphs = search.kind in GRAPH_KINDS
        if recipe is not None and isinstance(recipe, GraphRecipe) != on_graphs:
            raise BadInput(
                f"the recipe '{recipe.name}' is for {'images' if on_graphs else 'graphs'}, and '{name}' is of kind "
                f"'{search.kind}'; name one for it: --recipe {' or '.join(recipes_for(on_graphs))}."
            )
        if search.kind == "image" and not (hasattr(search.train, "images") and hasattr(search.validation, "images")):
            raise BadInput(f"data set '{name}': train and validation of an image task must be Images.")

    @property
    def search_task(self) -> SearchTask | None:
        return None if self.on_table else self.loaded.task.search

    @property
    def classes(self) -> int:
        if self.on_table:
            return self.table.classes
        return self.loaded.task.search.classes

    @property
    def judged(self) -> bool:
        """Whether there are test data or held-out scores, without which no verdict is given."""
        from nasbench.tables.table import Table

        return not self.on_table or isinstance(self.table, Table)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the scores that every report must contain."""
        if not self.on_table:
            return ()
        return (*self.table.notes, SHUFFLED) if self.evaluator.source == "shuffled" else self.table.notes

    @cached_property
    def data_fingerprint(self) -> str:
        return self.table.fingerprint if self.on_table else self.loaded.task.search.fingerprint

    @cached_property
    def problem(self) -> Problem:
        budget = Budget(self.config.evaluations, self.config.time)
        objectives = parse_objectives(self.config.objectives) or (Objective(),)
        constraints = parse_constraints(self.config.constraints)
        return Problem(self.space, self.search_task, budget, self.config.seed, objectives, constraints)

    @cached_property
    def strategy(self) -> Strategy:
        part = self.config.strategy
        target = resolve("strategy", part.name, STRATEGIES)
        if not (isinstance(target, type) and issubclass(target, Strategy)):
            raise BadInput(f"'{part.name}' is not a strategy class.")
        self._check_fidelities(part.name, target)
        lacking = [ability.__name__ for ability in target.needs if not isinstance(self.space, ability)]
        if lacking:
            able = [name for name in SPACES if all(_has(name, ability) for ability in lacking)]
            raise MissingAbility(
                f"{part.name} needs {' and '.join(lacking)}; '{self.space.name}' lacks it; "
                f"spaces that have it: {', '.join(able) or 'none'}."
            )
        config = validated(target.Config, part.settings, "strategy")
        rng = generator(self.config.seed, "strategy")
        if not needs_shared_weights(target):
            built: Strategy = _built("strategy", part.name, lambda: target(self.problem, config, rng))
            return built
        if self.on_table:
            raise BadInput(
                f"{part.name} trains a supernet, and the evaluator 'table' comes without data to train on; "
                "use --evaluator shared."
            )
        learner: Strategy = _built("strategy", part.name, lambda: target(self.problem, config, rng, self.shared))
        return learner

    def _check_fidelities(self, name: str, strategy: type[Strategy]) -> None:
        """Raise BadInput if the strategy sets a fidelity that the evaluator does not offer, or that the user set."""
        evaluator = self.config.evaluator
        if strategy.fidelities and self.on_table:
            self._check_epochs_of_table(name, strategy)
            return
        lacking = set(strategy.fidelities) - _fidelities(evaluator.name)
        if lacking:
            able = [known for known in EVALUATORS if not lacking - _fidelities(known)]
            raise BadInput(
                f"{name} sets the fidelity '{min(lacking)}', which the evaluator '{evaluator.name}' does not have; "
                f"evaluators that have it: {', '.join(able)}."
            )
        for key in strategy.fidelities:
            if evaluator.settings.get(key) is not None:
                raise BadInput(f"{name} sets the {key} of every candidate itself; leave out evaluator.{key}.")

    def _check_epochs_of_table(self, name: str, strategy: type[Strategy]) -> None:
        from nasbench.tables.table import Table

        table, wanted = self.table, self.config.strategy.settings.get("maximum_epochs")
        if not set(strategy.fidelities) <= set(table.fidelities):
            raise BadInput(
                f"{name} scores candidates at several numbers of epochs, and the table of '{self.config.space.name}' "
                f"holds validation accuracy at one fidelity ({table.fidelity}); use --evaluator train."
            )
        assert isinstance(table, Table)
        if wanted not in (None, table.epochs[-1]):
            raise BadInput(
                f"the networks of this table were trained with a schedule of {table.epochs[-1]} epochs, and not of "
                f"{wanted}; leave out maximum_epochs."
            )

    @cached_property
    def shared(self) -> SharedWeights | None:
        """The supernet that the strategy trains, None if it trains none. Its first weights depend on the seed alone."""
        part = self.config.strategy
        if not needs_shared_weights(resolve("strategy", part.name, STRATEGIES)):
            return None
        from nasbench.networks.device import prepare, seeded
        from nasbench.networks.shared_weights import SharedWeights

        space, task = self.space, self.search_task
        assert isinstance(space, Relaxable) and task is not None
        size = None
        if space.Size is not None:
            wanted = {key: part.settings.get(key) for key in ("channels", "cells")}
            given = {k: value for k, value in wanted.items() if value is not None and k in space.Size.model_fields}
            size = validated(space.Size, given, f"the size of the supernet of '{space.name}'")
        with seeded(int(generator(self.config.seed, "shared weights").integers(2**63))):
            return SharedWeights(prepare(space.relax(task, size)))

    @cached_property
    def evaluator(self) -> Evaluator:
        part = self.config.evaluator
        target = resolve("evaluator", part.name, EVALUATORS)
        model = config_model(target)
        config = validated(model, part.settings, "evaluator") if model is not None else None
        if not isinstance(target, type):
            raise BadInput(f"'{part.name}' is not an evaluator class.")
        if self.on_table:
            built = target(
                self.space, self.table, config, self.data_dir, generator(self.config.seed, "shuffled rewards")
            )
            if self.config.objectives or self.config.constraints:  # what it cannot measure is refused before a search
                one = Proposal(self.space.sample(generator(0, "objectives")))
                costs_of(self.problem.objectives, self.problem.constraints, [built.evaluate(one, id=0, seed=0)])
        else:
            arguments: list[Any] = [self.space, self.search_task, self.config.recipe, config]
            if needs_shared_weights(target):
                if self.shared is None:
                    raise BadInput(
                        f"the evaluator '{part.name}' scores by shared weights, and '{self.config.strategy.name}' "
                        f"trains none; strategies that do: {', '.join(filter(_trains_supernet, STRATEGIES))}."
                    )
                arguments.append(self.shared)
            built = _built("evaluator", part.name, lambda: target(*arguments))
        if not isinstance(built, Evaluator):
            raise BadInput(f"'{part.name}' is not an evaluator: it needs source, version, fingerprint and evaluate.")
        return built

    @cached_property
    def table_judge(self) -> TableJudge:
        from nasbench.protocol.table_judge import TableJudge
        from nasbench.tables.table import Table

        if not isinstance(self.table, Table):
            raise BadInput(
                f"the benchmark of '{self.config.space.name}' has {NO_HELD_OUT}: there is nothing to judge by."
            )
        return TableJudge(self.table, self.data_dir)

    @cached_property
    def training_judge(self) -> TrainingJudge:
        from nasbench.protocol.training_judge import TrainingJudge

        recipe = self.config.recipe
        assert recipe is not None
        identity = [self.config.space.settings, source_fingerprint(type(self.space))]
        return TrainingJudge(self.space, identity, self.loaded.task, recipe, cache_folder())

    @cached_property
    def own_code(self) -> dict[str, str]:
        """Fingerprints of the user's own modules, by part: another text is another run."""
        targets = {"space": type(self.space), "strategy": type(self.strategy), "evaluator": type(self.evaluator)}
        found = {part: source_fingerprint(target) for part, target in targets.items()}
        return {part: fingerprint for part, fingerprint in found.items() if fingerprint is not None}

    @cached_property
    def complete_config(self) -> RunConfig:
        """The configuration with the fingerprints of data and own code: what makes a run what it is."""
        return self.config.model_copy(update={"data_fingerprint": self.data_fingerprint, "own_code": self.own_code})


def _built(kind: str, name: str, build: Callable[[], Any]) -> Any:
    """Build a part; what a user's own constructor raises becomes one line."""
    try:
        return build()
    except NasbenchError:
        raise
    except Exception as error:
        raise BadInput(f"{kind} '{name}' cannot be built: {error!r}.") from error


def _fidelities(evaluator: str) -> set[str]:
    return set(getattr(resolve("evaluator", evaluator, EVALUATORS), "fidelities", ()))


def _trains_supernet(name: str) -> bool:
    return needs_shared_weights(resolve("strategy", name, STRATEGIES))


def source_fingerprint(target: type) -> str | None:
    """Return a fingerprint of the file that defines a class, None for the package's own classes."""
    if target.__module__.split(".")[0] == "nasbench":
        return None
    file = getattr(sys.modules.get(target.__module__), "__file__", None)
    return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def _has(name: str, ability: str) -> bool:
    space: Any = resolve("space", name, SPACES)
    return isinstance(space(), ABILITIES[ability])
