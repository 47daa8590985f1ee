"""The final evaluation by training: the found architecture and random ones, by the very same recipe."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, SearchFailed, failure_reason
from nasbench.core.problem import Task
from nasbench.core.run_directory import read_json
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.core.state import digest, remove_leftovers, write_json
from nasbench.evaluators.graph_stack import Parts
from nasbench.evaluators.recipes import AnyRecipe
from nasbench.evaluators.training import count_parameters
from nasbench.protocol.final_training import FinalTraining, train_final, trains_on_validation
from nasbench.protocol.random_search import resampled_curve
from nasbench.protocol.scores import PROTOCOL_VERSION, TRAINING_SAMPLER, Baseline, FinalScores
from nasbench.protocol.verdict import Verdict, verdict_on_training

Trained = Callable[[int, FinalTraining], None]
Progress = Callable[[int], None]
POINTS_OF_A_CURVE = 120
LONGEST_NAME = 100


class TrainingJudge:
    """Trains final networks and opens the task's test data. Every finished training is kept, so a kill loses one.

    ``cache`` is the folder of baselines, shared by all runs: one folder a (space, data and split, recipe).
    """

    def __init__(self, space: SearchSpace, space_identity: list[Any], task: Task, recipe: AnyRecipe, cache: Path):
        self._space = space
        self._task = task
        self._recipe = recipe
        self._parts = Parts()
        identity = [PROTOCOL_VERSION, space.name, space_identity, task.search.fingerprint, recipe.fingerprint()]
        name = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{space.name}-{task.search.name}-{recipe.name}")[:LONGEST_NAME]
        self.key = f"{name}-{digest(identity)[:12]}"
        self._folder = cache / "baselines" / self.key

    def open_cache(self) -> None:
        """Make the baseline's folder; raise BadInput if that is not possible."""
        make_folder(self._folder)

    def final(
        self,
        architecture: Architecture,
        seeds: Sequence[int],
        folder: Path,
        *,
        trained: Trained = lambda number, done: None,
        progress: Progress = lambda done: None,
    ) -> FinalScores:
        """Train an architecture once a seed, test each network, and keep each training's record in ``folder``.

        ``trained`` is called with every fresh network before its record is written. A training that fails counts at
        chance. Raises SearchFailed if all do.
        """
        make_folder(folder)
        records = []
        for number, seed in enumerate(seeds):
            records.append(self._recorded(folder / f"training-{number:02d}.json", architecture, seed, number, trained))
            progress(number + 1)
        failures = tuple(record["error"] for record in records if record["error"])
        if len(failures) == len(records):
            raise SearchFailed(f"every final training of the found architecture failed: {failures[0]}")
        return FinalScores(
            tuple(record["test_accuracy"] for record in records),
            tuple(record["valid_accuracy"] for record in records),
            tuple(seeds),
            sum(record["seconds"] for record in records),
            next(record["parameters"] for record in records if record["parameters"]),
            failures,
        )

    def baseline(self, size: int, progress: Progress = lambda done: None) -> Baseline:
        """Train ``size`` random architectures once each, or as many of them as are not in the cache yet."""
        if size < 2:
            raise BadInput(f"the baseline needs at least 2 random architectures, not {size}.")
        self.open_cache()
        rng = generator(0, f"baseline {self.key}")
        records = []
        with FileLock(self._folder / ".lock"):
            remove_leftovers(self._folder)
            for number in range(size):
                architecture = self._space.sample(rng)
                seed = final_seed(0, self.key, number)
                records.append(self._recorded(self._file(number), architecture, seed, number))
                progress(number + 1)
        failures = tuple(record["error"] for record in records if record["error"])
        if len(failures) == size:
            raise SearchFailed(f"the training of every random architecture failed: {failures[0]}")
        scores = np.array([record["test_accuracy"] for record in records])
        valid = [record["valid_accuracy"] for record in records]
        return Baseline(
            mean=float(scores.mean()),
            std=float(scores.std(ddof=1)),
            median=float(np.median(scores)),
            n=size,
            source="trained",
            sampler=TRAINING_SAMPLER,
            key=self.key,
            seconds=sum(record["seconds"] for record in records),
            scores=tuple(scores.tolist()),
            valid_scores=None if None in valid else tuple(valid),
            failures=failures,
        )

    def one_of_baseline(self, number: int) -> dict[str, Any]:
        """Return the record of one random architecture of the baseline, trained now unless it is in the cache."""
        self.open_cache()
        rng = generator(0, f"baseline {self.key}")
        architecture = [self._space.sample(rng) for _ in range(number + 1)][number]
        return self._recorded(self._file(number), architecture, final_seed(0, self.key, number), number)

    def adopt(self, records: Mapping[int, dict[str, Any]]) -> None:
        """Put records of random architectures, by number, that were trained elsewhere into the cache."""
        self.open_cache()
        for number, record in records.items():
            if not self._file(number).exists():
                write_json(self._file(number), record)

    def cached(self, size: int) -> int:
        """Return how many of the baseline's trainings are done already."""
        return sum(self._file(number).exists() for number in range(size))

    def _file(self, number: int) -> Path:
        return self._folder / f"architecture-{number:03d}.json"

    def verdict(
        self, test_accuracies: Sequence[float], baseline: Baseline, random_search: Sequence[float] | None = None
    ) -> Verdict:
        """Judge final scores against the baseline and, where it was run as a method, against random search."""
        assert baseline.scores is not None
        return verdict_on_training(
            list(test_accuracies),
            list(baseline.scores),
            None if random_search is None else list(random_search),
            unit="training",
        )

    def _recorded(
        self,
        file: Path,
        architecture: Architecture,
        seed: int,
        number: int,
        trained: Trained = lambda number, done: None,
    ) -> dict[str, Any]:
        """Return the record of one training: from its file, or by training now."""
        identity = {"architecture": json.loads(json.dumps(architecture.to_json())), "seed": seed}
        if file.exists():
            try:
                record = read_json(file)
            except BadInput as error:
                raise BadInput(f"{error} Delete it to train again.") from error
            if {key: record.get(key) for key in identity} != identity:
                raise BadInput(f"{file} belongs to another training; delete it to train again.")
            return record
        record = identity | self._train(architecture, seed, number, trained)
        write_json(file, record)
        return record

    def _train(self, architecture: Architecture, seed: int, number: int, trained: Trained) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            done = train_final(self._space, architecture, self._task.search, self._recipe, seed, self._parts)
        except Exception as error:
            chance = 100.0 / self._task.search.classes
            return {
                "test_accuracy": chance,
                "valid_accuracy": None if trains_on_validation(self._recipe) else chance,
                "parameters": None,
                "seconds": time.perf_counter() - started,
                "error": failure_reason(error),
            }
        tested = done.score(self._task.test)
        trained(number, done)
        return {
            "test_accuracy": tested,
            "valid_accuracy": done.valid_accuracy,
            "parameters": count_parameters(done.module),
            "seconds": time.perf_counter() - started,
            "error": None,
        }


def random_curve(baseline: Baseline, evaluations: int) -> dict[str, list[float]] | None:
    """Estimate the best validation accuracy so far of random search from the baseline's architectures."""
    if baseline.valid_scores is None:
        return None
    points = np.unique(np.geomspace(1, evaluations, POINTS_OF_A_CURVE).astype(int))
    mean, low, high = resampled_curve(np.array(baseline.valid_scores), points)
    return {"evaluations": points.tolist(), "mean": list(mean), "low": list(low), "high": list(high)}


def final_seed(run_seed: int, name: str, number: int) -> int:
    """Return the seed of one final training: a function of run seed, name and number."""
    digest = hashlib.blake2b(f"{run_seed}:{name}:{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest)


def make_folder(folder: Path) -> None:
    """Create a folder; raise BadInput if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}.") from error
