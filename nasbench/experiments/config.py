"""From what a user typed to one complete configuration of a run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from nasbench.catalog import EVALUATORS, SPACES, STRATEGIES, resolve
from nasbench.core.configuration import Amended, validated
from nasbench.core.errors import BadInput, nearest, unknown
from nasbench.core.objectives import parse_constraints, parse_objectives
from nasbench.core.problem import GRAPH_KINDS, Objective
from nasbench.datasets.load import GRAPH_DATASETS, describe
from nasbench.datasets.load import spelled as spelled_data
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.recipes import ALL_RECIPES, AnyRecipe, default_recipe, recipes_for
from nasbench.tables.table import datasets, longest_epochs

DEFAULT_LOOK_UPS = 500
DEFAULT_TRAININGS = 24
MOST_DEFAULT_EVALUATIONS = 10_000
LONGEST_DEFAULT_SEARCH = 50
"""Epochs of a supernet: those of Liu et al., DARTS, ICLR 2019, appendix A.1.1."""
DEFAULT_DATASET = "digits"
GRAPH_EVALUATORS = ("train-graphs", "shared-gnn")
TRAINERS = ("train", "train-graphs")
"""Evaluators that train every candidate by the recipe."""


class UnknownKey(BadInput):
    """A ``key=value`` whose key no part of the run has."""


class Settings(BaseModel):
    """The options of the command line, unresolved: None means the default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    space: str | None = None
    strategy: str | None = None
    dataset: str | None = None
    evaluator: str | None = None
    recipe: str | None = None
    evaluations: int | None = Field(default=None, ge=1)
    time: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    seeds: int = Field(default=5, ge=1)
    baseline: int = Field(default=16, ge=2, description="--baseline-size")
    objective: tuple[str, ...] | None = None
    constraint: tuple[str, ...] | None = None
    overrides: tuple[str, ...] = ()


class Part(BaseModel):
    """One named part of a run with its settings, all of them spelled out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    settings: dict[str, Any] = {}


class RunConfig(Amended):
    """Everything that defines a run, resolved. Two runs with the same RunConfig have the same result."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    later: ClassVar[tuple[str, ...]] = ("objectives", "constraints")
    space: Part
    strategy: Part
    dataset: str
    evaluator: Part
    recipe: AnyRecipe | None
    evaluations: int | None
    time: float | None
    seed: int
    seeds: int
    baseline: int
    objectives: tuple[str, ...] = Field(default=(), description="none: validation accuracy alone")
    constraints: tuple[str, ...] = ()
    data_fingerprint: str | None = None
    own_code: dict[str, str] = Field(default_factory=dict)


def resolve_settings(settings: Settings) -> RunConfig:
    """Fill in defaults, distribute the ``key=value`` overrides over the parts, check every name, key and value."""
    named = None if settings.evaluator is None else spelled(settings.evaluator, EVALUATORS)
    on_table = named == "table"
    space = spelled(settings.space or ("nasbench201" if on_table else "darts"), SPACES)
    on_graphs = is_on_graphs(settings, resolve("space", space, SPACES)) and not on_table
    if on_graphs and named == "train":
        named = "train-graphs"
    goals = parse_objectives(settings.objective or ()) not in ((), (Objective(),)) or bool(settings.constraint)
    strategy = spelled(settings.strategy or default_strategy(resolve("space", space, SPACES), named, goals), STRATEGIES)
    trains_supernet = needs_shared_weights(resolve("strategy", strategy, STRATEGIES))
    if trains_supernet and on_graphs:
        raise BadInput(
            f"{strategy} trains a supernet on images, and the networks of '{space}' are trained on graphs here; "
            "choose another strategy."
        )
    evaluator = named or ("shared" if trains_supernet else "train-graphs" if on_graphs else "train")
    known = list(datasets(space) if on_table else describe())
    bundled = "karate" if on_graphs else DEFAULT_DATASET
    chosen = settings.dataset or (next(iter(known), "") if on_table else bundled)  # no table: it is refused later
    dataset = spelled(chosen, known) if on_table else spelled_data(chosen)
    models = {
        "space": config_model(resolve("space", space, SPACES)),
        "strategy": config_model(resolve("strategy", strategy, STRATEGIES)),
        "evaluator": config_model(resolve("evaluator", evaluator, EVALUATORS)),
    }
    measures = getattr(resolve("evaluator", evaluator, EVALUATORS), "measures", None)
    objectives = parse_objectives(settings.objective or (), measures)
    constraints = parse_constraints(settings.constraint or (), measures)
    if objectives == (Objective(),):
        objectives = ()
    keys = {part: set(model.model_fields) if model else set() for part, model in models.items()}
    named_recipe = settings.recipe or default_recipe(dataset, on_graphs)
    if named_recipe not in ALL_RECIPES:
        raise unknown("recipe", named_recipe, ALL_RECIPES)
    if not on_table:
        keys["recipe"] = set(type(ALL_RECIPES[named_recipe]).model_fields) - {"name"}
    values = distribute(settings.overrides, keys)
    recipe = None
    if not on_table:
        recipe = changed_recipe(named_recipe, values["recipe"])
        check_kind(recipe, evaluator, space, on_graphs)
    elif settings.recipe is not None:
        raise BadInput(f"--recipe is for training; the evaluator '{evaluator}' trains nothing.")

    def configured(kind: str) -> BaseModel | None:
        model = models[kind]
        return validated(model, {**guided_by_recipe(model, recipe, space), **values[kind]}, kind) if model else None

    evaluations = settings.evaluations
    if evaluations is None and settings.time is None:
        evaluations = default_evaluations(recipe, trains_supernet, configured("strategy"))

    def part(kind: str, name: str) -> Part:
        config = configured(kind)
        if config is None:
            return Part(name=name)
        if kind == "evaluator":
            config = measuring(config, [*(o.name for o in objectives), *(c.name for c in constraints)])
        return Part(name=name, settings=config.model_dump(mode="json"))

    return RunConfig(
        space=part("space", space),
        strategy=part("strategy", strategy),
        dataset=dataset,
        evaluator=part("evaluator", evaluator),
        recipe=recipe,
        evaluations=evaluations,
        time=settings.time,
        seed=settings.seed,
        seeds=1 if on_table else settings.seeds,
        baseline=2 if on_table else settings.baseline,
        objectives=tuple(map(str, objectives)),
        constraints=tuple(map(str, constraints)),
    )


def is_on_graphs(settings: Settings, space: Any) -> bool:
    """Say whether networks on graphs are to be trained: as the space has it, or recipe, evaluator or data set."""
    kinds, on_graphs = set(getattr(space, "task_kinds", ())), set(GRAPH_KINDS)
    if kinds and (kinds <= on_graphs or not kinds & on_graphs):
        return kinds <= on_graphs
    if settings.recipe in ALL_RECIPES:
        return isinstance(ALL_RECIPES[settings.recipe], GraphRecipe)
    if (settings.evaluator or "").lower() in GRAPH_EVALUATORS:
        return True
    return (settings.dataset or "").partition("@")[0].lower() in GRAPH_DATASETS


def check_kind(recipe: AnyRecipe, evaluator: str, space: str, on_graphs: bool) -> None:
    """Raise BadInput for a recipe or an evaluator of the package that is for other networks than those trained."""
    kind, other = ("graphs", "images") if on_graphs else ("images", "graphs")
    if isinstance(recipe, GraphRecipe) != on_graphs:
        raise BadInput(
            f"the recipe '{recipe.name}' is for {other}, and the networks of '{space}' are trained on {kind} here; "
            f"recipes for that: {', '.join(recipes_for(on_graphs))}."
        )
    if evaluator in EVALUATORS and (evaluator in GRAPH_EVALUATORS) != on_graphs:
        able = [name for name in EVALUATORS if (name in GRAPH_EVALUATORS) == on_graphs and name != "table"]
        raise BadInput(
            f"the evaluator '{evaluator}' is for {other}, and the networks of '{space}' are trained on {kind} here; "
            f"evaluators for that: {', '.join(able)}."
        )


def changed_recipe(name: str, changes: dict[str, str | None]) -> AnyRecipe:
    """Return a recipe of the package with some settings changed, which its name then shows."""
    known = ALL_RECIPES[name]
    return validated(type(known), {**known.model_dump(), **changes, "name": name + "*" * bool(changes)}, "recipe")


def default_strategy(space: Any, evaluator: str | None, goals: bool = False) -> str:
    """Return the strategy used if none is named: sharpDARTS on a space with a supernet, if no evaluator is named.

    Where objectives or constraints are named (``goals``), it is the one that knows them all.
    """
    if goals:
        return "nsga2"
    relaxable = hasattr(space, "relax") and hasattr(space, "one_hot")
    return "sharpdarts" if relaxable and evaluator in (None, "shared") else "evolution"


def default_evaluations(recipe: AnyRecipe | None, trains_supernet: bool, strategy: BaseModel | None = None) -> int:
    """Return the budget used if none is given; of a supernet, whose evaluation is an epoch, 3 times the recipe's.

    A strategy that trains for fewer epochs, and can say how many, gets as many epochs as the others.
    """
    if recipe is None:
        return DEFAULT_LOOK_UPS
    epochs_of = getattr(strategy, "epochs_of", None)
    if epochs_of is not None:
        numbers = range(1, MOST_DEFAULT_EVALUATIONS)
        return max(1, bisect_right(numbers, DEFAULT_TRAININGS * recipe.epochs, key=epochs_of))
    return min(3 * recipe.epochs, LONGEST_DEFAULT_SEARCH) if trains_supernet else DEFAULT_TRAININGS


def needs_shared_weights(part: Any) -> bool:
    """Say whether a strategy trains, or an evaluator reads, the run's shared weights."""
    return bool(getattr(part, "shares_weights", False))


def guided_by_recipe(model: type[BaseModel], recipe: AnyRecipe | None, space: str) -> dict[str, Any]:
    """Return the settings of a strategy that the recipe decides unless the user does, such as the augmentation.

    Without a recipe, on a table, it is the number of epochs for which the networks of the space's table were trained.
    """
    adapt = getattr(model, "from_recipe", None)
    if adapt is None:
        return {}
    if recipe is not None:
        return dict(adapt(recipe.model_dump()))
    longest = longest_epochs(space) if "maximum_epochs" in model.model_fields else None
    return {} if longest is None else dict(adapt({"epochs": longest}))


def measuring(config: BaseModel, metrics: list[str]) -> BaseModel:
    """Return an evaluator's settings with whatever it takes to measure these metrics, such as a device's latency."""
    adapt = getattr(config, "measuring", None)
    return adapt(metrics) if adapt is not None else config


def spelled(name: str, known: Iterable[str]) -> str:
    """Return the known spelling of a name, whatever its case; the name itself if it is not among the known ones."""
    return next((spelling for spelling in known if spelling.lower() == name.lower()), name)


def config_model(target: Any) -> type[BaseModel] | None:
    """Return the pydantic model of a part's settings, None if it has none."""
    model = getattr(target, "Config", None)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def distribute(overrides: Sequence[str], keys: dict[str, set[str]]) -> dict[str, dict[str, str | None]]:
    """Sort ``part.key=value`` and bare ``key=value`` texts by part; a bare key must belong to exactly one part."""
    values: dict[str, dict[str, str | None]] = {part: {} for part in keys}
    full = [f"{part}.{key}" for part in keys for key in sorted(keys[part])]
    for text in overrides:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name:
            raise BadInput(f"--set takes key=value, not '{text}'.")
        part, dot, key = name.partition(".")
        if not dot:
            owners = [part for part in keys if name in keys[part]]
            if len(owners) > 1:
                raise BadInput(f"'{name}' is a key of {' and '.join(owners)}; write {owners[0]}.{name}=… .")
            part, key = (owners[0] if owners else ""), name
        if key not in keys.get(part, set()):
            hint = nearest(name, full) or nearest(f"{name}", [f.partition(".")[2] for f in full])
            raise UnknownKey(f"unknown key '{name}'.{hint} Allowed: {', '.join(full)}.")
        if key in values[part]:
            raise BadInput(f"'{part}.{key}' is set twice.")
        values[part][key] = None if value.lower() in ("none", "null") else value
    return values
