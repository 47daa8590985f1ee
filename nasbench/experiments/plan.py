"""How many seeds would show which gain, and what they would cost: asked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasbench.evaluators.recipes import ALL_RECIPES
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import config_model
from nasbench.experiments.cost import estimate, whole_trainings
from nasbench.protocol.power import POWER, runs_needed, runs_needed_by_rank, smallest_detectable_gain

SEEDS = (3, 5, 8, 10, 15, 20, 30, 50)
GAINS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
PERCENTILES = (0.6, 0.7, 0.8, 0.9)
"""Shares of random searches that a search may beat on average."""


@dataclass(frozen=True)
class Pilot:
    """What is known of the scatter of final scores before the experiment.

    ``std`` is in points of test accuracy, None where nothing was measured yet; ``source`` says whence it is, in a
    sentence. ``exact`` says whether the mean that searches are compared with is known without sampling error.
    """

    std: float | None
    source: str
    exact: bool


def plan(parts: Parts) -> dict[str, Any]:
    """Return which gain how many seeds would show, with their cost, and how many seeds some gains need.

    A seed is one search with its final trainings. Gains are in points of test accuracy (``unit`` "points") or, as long
    as no spread was measured, in units of the standard deviation. A trained search needs as many random architectures
    as seeds, at least ``--baseline-size``; those in the cache cost nothing. Nothing is run and nothing written.
    """
    pilot = pilot_of(parts)
    cost = _Cost.of(parts)
    std = 1.0 if pilot.std is None else pilot.std
    baseline_std = 0.0 if pilot.exact else std
    gains = [
        {"seeds": n, "gain": smallest_detectable_gain(n, std, baseline_std), "seconds": cost.seconds(n)} for n in SEEDS
    ]
    needs = []
    for gain in GAINS:
        seeds = runs_needed(gain, std, baseline_std)
        needs.append({"gain": gain, "seeds": seeds, "seconds": None if seeds is None else cost.seconds(seeds)})
    by_rank = []
    for share in PERCENTILES if pilot.exact else ():
        seeds = runs_needed_by_rank(share)
        seconds = None if seeds is None else cost.seconds(seeds)
        by_rank.append({"percentile": 100 * share, "seeds": seeds, "seconds": seconds})
    return {
        "power": POWER,
        "std": pilot.std,
        "std_source": pilot.source,
        "gain_over": "random search of the same cost" if pilot.exact else "the average random architecture",
        "unit": "standard deviations" if pilot.std is None else "points",
        "baseline_known_exactly": pilot.exact,
        "seconds_per_seed": cost.one_seed,
        "seconds_per_random_architecture": cost.one_architecture,
        "on_gpu": cost.on_gpu,
        "smallest_gain": gains,
        "seeds_needed": needs,
        "seeds_needed_by_rank": by_rank,
    }


def pilot_of(parts: Parts) -> Pilot:
    """Return the standard deviation to plan with: exact on a table, else that of the baseline in the cache."""
    config = parts.config
    if parts.on_table:
        judge = parts.table_judge
        if config.evaluations is None:
            return Pilot(None, "a budget of seconds says nothing on the number of look-ups; give --evaluations.", True)
        evaluations, epochs_of = config.evaluations, getattr(parts.strategy, "epochs_of", None)
        if epochs_of is not None:
            evaluations = whole_trainings(parts, epochs_of(evaluations))
        search = judge.random_search(evaluations)
        source = f"exact: random search of {search.k} evaluations ends at {search.mean:.2f} ± {search.std:.2f} %."
        return Pilot(search.std, source, True)
    cached = parts.training_judge.cached(config.baseline)
    if cached < 2:
        source = f"no pilot yet: '{baseline_command(parts)}' trains random architectures and keeps them for all runs."
        return Pilot(None, source, False)
    base = parts.training_judge.baseline(cached)
    if not base.std:
        return Pilot(None, f"the {cached} random architectures trained before score alike; train more of them.", False)
    source = (
        f"{cached} random architectures trained before, {base.mean:.2f} ± {base.std:.2f} %; searches are taken to "
        "scatter as much as they do."
    )
    return Pilot(base.std, source, False)


def baseline_command(parts: Parts) -> str:
    """Return the command that measures the baseline of such runs."""
    config, words = parts.config, ["nasbench", "baseline"]
    words += ["--space", config.space.name, "--dataset", config.dataset]
    changed: dict[str, Any] = {}
    model = config_model(type(parts.space))
    if model is not None:
        defaults = model().model_dump(mode="json")
        changed |= {f"space.{key}": v for key, v in config.space.settings.items() if v != defaults[key]}
    if config.recipe is not None:
        name = config.recipe.name.rstrip("*")
        words += ["--recipe", name]
        named = ALL_RECIPES[name].model_dump(mode="json")
        settings = config.recipe.model_dump(mode="json", exclude={"name"})
        changed |= {f"recipe.{key}": value for key, value in settings.items() if value != named[key]}
    return " ".join([*words, *(f"--set {key}={value}" for key, value in changed.items())])


@dataclass(frozen=True)
class _Cost:
    """Seconds of one seed and of one random architecture; ``cached`` of these, out of ``smallest``, cost nothing."""

    one_seed: float
    one_architecture: float
    smallest: int
    cached: int
    on_gpu: bool

    @classmethod
    def of(cls, parts: Parts) -> _Cost:
        config, cost = parts.config, estimate(parts)
        final = cost.get("final_seconds", 0.0)
        one_seed = cost["search_seconds"] + final
        if parts.on_table:
            return cls(one_seed, 0.0, 0, 0, False)
        from nasbench.networks.device import device

        cached = parts.training_judge.cached(max(config.baseline, *SEEDS))
        return cls(one_seed, final / config.seeds, config.baseline, cached, device().type == "cuda")

    def seconds(self, seeds: int) -> float:
        """Return the seconds of an experiment with so many seeds and as many random architectures, or more."""
        missing = max(0, max(seeds, self.smallest) - self.cached)
        return seeds * self.one_seed + missing * self.one_architecture


def in_words(seconds: float, on_gpu: bool = False) -> str:
    """Return a duration in the unit that suits it; of a GPU in GPU-hours, too."""
    if seconds < 1:
        return "less than a second"
    for unit, name in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            text = f"{seconds / unit:,.1f} {name}"
            break
    else:
        text = f"{seconds:,.1f} seconds"
    return text + (f" ({seconds / 3600:,.2f} GPU-hours)" if on_gpu else "")
