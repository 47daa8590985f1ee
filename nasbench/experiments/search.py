"""One search from its configuration to its verdict: the main job."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench.core.abilities import Predicting, Relaxing, Storing
from nasbench.core.architecture import Architecture
from nasbench.core.asynchronous import search_asynchronously
from nasbench.core.errors import BadInput, SearchFailed
from nasbench.core.evaluation import Evaluation, Learned, epochs_trained
from nasbench.core.evaluator import Evaluator
from nasbench.core.ledger import Ledger
from nasbench.core.loop import EvaluateMany, Watcher, search
from nasbench.core.progress import Progress
from nasbench.core.run_directory import RunDirectory, open_run, require_same
from nasbench.distributed.cluster import HERE, Workers
from nasbench.distributed.workers import candidate_pool, check_evaluator, worker_pool
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import TRAINERS, needs_shared_weights
from nasbench.experiments.cost import whole_trainings
from nasbench.experiments.environment import describe_environment
from nasbench.experiments.front import front_of, goals_record
from nasbench.experiments.live import view_of_learning
from nasbench.experiments.reporter import Reporter
from nasbench.experiments.result import failed_result, make_result, unjudged_result
from nasbench.protocol.scores import Baseline, FinalScores
from nasbench.protocol.stored_result import read_result
from nasbench.reports.run_report import write_run_report

if TYPE_CHECKING:
    from nasbench.protocol.final_training import FinalTraining

ONE_ARCHITECTURE = (
    "The scores are trainings of the one architecture that this search found; "
    "on the method, several searches with different seeds speak (nasbench leaderboard)."
)


Scoring = Callable[[Evaluator], EvaluateMany]


def run_search(
    parts: Parts,
    out: Path,
    reporter: Reporter | None = None,
    *,
    workers: Workers = HERE,
    scoring: Scoring | None = None,
    pictures: bool = True,
) -> dict[str, Any]:
    """Run a search in its folder, or go on with it, or return its result if it is finished.

    Candidates are scored on ``workers``, or by what ``scoring`` makes of the evaluator.
    Raises BadInput for whatever is wrong before work begins, SearchFailed if no candidate succeeded or the work could
    not be written down.
    """
    reporter = reporter or Reporter()
    _ = parts.strategy, parts.evaluator  # whatever does not fit is refused before a folder is made
    if workers.asynchronous or not (workers.here or needs_shared_weights(parts.evaluator)):
        check_evaluator(parts.evaluator)
    config = parts.complete_config.model_dump(mode="json")
    several = len(parts.problem.objectives) > 1
    if several and not parts.strategy.several_objectives:
        first = parts.problem.objective.name
        reporter.note(f"{parts.config.strategy.name} searches by {first} alone; the front is that of what it measured")
    if (out / "result.json").exists():
        require_same(out, config)
        result = read_result(out)
        reporter.note(f"{out} is finished; this is its result")
    else:
        result = _work(parts, config, out, reporter, workers, scoring)
    if result["final"] is None:
        raise SearchFailed(f"{result['verdict_sentence']} (recorded in {out})")
    if pictures and not (out / "report.html").exists():
        try:
            with open_run(out, config, describe_environment(parts.data_dir)):
                write_run_report(out, parts.space)
        except (OSError, BadInput) as error:
            reporter.note(f"warning: the report could not be written ({error}); 'nasbench show {out}' makes it")
    return result


def _work(
    parts: Parts, config: dict[str, Any], out: Path, reporter: Reporter, workers: Workers, scoring: Scoring | None
) -> dict[str, Any]:
    """Search, judge, and write the result down."""
    # A table without usable final scores, or a cache that cannot be written, is refused now and not after the search.
    if not parts.on_table:
        parts.training_judge.open_cache()
    elif parts.judged:
        _ = parts.table_judge
    with open_run(out, config, describe_environment(parts.data_dir)) as directory:
        if (out / "result.json").exists():  # another process finished it while this one waited for the lock
            return read_result(out)
        try:
            if not parts.on_table and not (out / "split.json").exists():
                directory.write("split.json", parts.loaded.split, indent=None)
            ledger = directory.ledger()
            try:
                if directory.resumed:
                    reporter.note(f"going on with {out}: {len(ledger)} evaluations are in its ledger")
                progress = _search(parts, ledger, directory, reporter, workers, scoring)
                if isinstance(parts.strategy, Relaxing):
                    directory.write("relaxation.json", parts.strategy.relaxation(), indent=None)
                further = goals_record(parts, ledger.evaluations)
                if isinstance(parts.strategy, Predicting):
                    further["predictor"] = parts.strategy.predictor_skill()
                if len(parts.problem.objectives) > 1:
                    recommended = [evaluation.architecture for evaluation in front_of(parts, ledger.evaluations)[:1]]
                else:
                    recommended = parts.strategy.recommend()
                if recommended:
                    parts.space.check(recommended[0])
                    if parts.judged:
                        spent = len(ledger)
                        if parts.on_table and parts.strategy.fidelities:
                            spent = whole_trainings(parts, epochs_trained(ledger.evaluations))
                        found = _judge(parts, recommended[0], spent, out, reporter)
                        result = make_result(parts, ledger, progress.seconds, out, **found) | further
                    else:
                        result = unjudged_result(parts, ledger, progress.seconds, out, recommended[0]) | further
                    text, spec = result["architecture"], result["architecture_spec"]
                    directory.write("architecture.json", {"text": text, "spec": spec})
                else:
                    reason = _failure(ledger, parts.config.constraints)
                    result = failed_result(parts, ledger, progress.seconds, out, reason) | further
            finally:
                ledger.close()
            directory.write("result.json", result)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise SearchFailed(
                f"{error.strerror or error}{where}; what was done is saved, and the same command goes on"
            ) from error
    return result


def _search(
    parts: Parts,
    ledger: Ledger,
    directory: RunDirectory,
    reporter: Reporter,
    workers: Workers,
    scoring: Scoring | None,
) -> Progress:
    budget = parts.problem.budget
    objective = parts.problem.objective
    total = budget.evaluations if budget.evaluations is not None else budget.seconds
    best = (float("-inf"), float("-inf"))
    storing = parts.evaluator if isinstance(parts.evaluator, Storing) else None
    if storing is not None:
        storing.store_in(directory.path)
    with reporter.phase("searching", total) as step:

        def done(progress: Progress) -> float:
            return progress.evaluations if budget.evaluations is not None else progress.seconds

        def evaluated(progress: Progress, evaluation: Evaluation) -> None:
            nonlocal best
            if evaluation.status == "ok":  # more epochs go before a better score at fewer
                best = max(best, (evaluation.epochs, objective.score(evaluation)))
            step(done(progress), f"best {objective.name} {best[1] if objective.maximize else -best[1]:.4g}")

        def learned(progress: Progress, unit: Learned) -> None:
            step(done(progress), f"unit {unit.unit + 1}, {unit.seconds:.1f} s")
            reporter.show(view_of_learning(parts, unit))

        watcher = Watcher(evaluated, learned)
        if needs_shared_weights(parts.evaluator) and not workers.here:
            reporter.note("shared weights change while searching: candidates are scored in this process")
            workers = HERE
        if workers.asynchronous:
            with candidate_pool(parts.evaluator, workers) as pool:
                progress = search_asynchronously(
                    parts.problem,
                    parts.strategy,
                    parts.evaluator,
                    ledger,
                    pool,
                    checkpoints=directory,
                    watcher=watcher,
                )
        else:
            with worker_pool(parts.evaluator, workers) as evaluate_many:
                progress = search(
                    parts.problem,
                    parts.strategy,
                    parts.evaluator,
                    ledger,
                    shared=parts.shared,
                    checkpoints=directory,
                    watcher=watcher,
                    evaluate_many=evaluate_many if scoring is None else scoring(parts.evaluator),
                )
    if storing is not None:
        storing.forget(progress.evaluations)  # all of it: nothing goes on from here
    return progress


def _failure(ledger: Ledger, constraints: Sequence[str]) -> str:
    errors = [evaluation.error for evaluation in ledger.evaluations if evaluation.error]
    if len(errors) < len(ledger) and constraints:
        return f"none of {len(ledger) - len(errors)} measured candidates keeps {' and '.join(constraints)}"
    if len(errors) < len(ledger):
        return f"the strategy recommends nothing, although {len(ledger) - len(errors)} candidates succeeded"
    return f"no candidate succeeded out of {len(ledger)}" + (f"; the first reason: {errors[0]}" if errors else "")


def _judge(parts: Parts, architecture: Architecture, evaluations: int, run: Path, reporter: Reporter) -> dict[str, Any]:
    """Evaluate the found architecture finally; return what the result says of it and of random architectures."""
    random_search: dict[str, Any] = {"mean": None, "std": None, "percentile": None}
    curve: dict[str, Any] | None
    if parts.on_table:
        from nasbench.protocol.table_judge import random_search_record

        judge = parts.table_judge
        final, baseline = judge.final(architecture), judge.baseline()
        verdict = judge.verdict(list(final.test_accuracies), evaluations)
        verdict = replace(verdict, sentence=" ".join([verdict.sentence, *other_goals(parts)]))
        random_search = random_search_record(judge.random_search(evaluations), final.test_accuracies[0])
        curve = None if parts.strategy.fidelities else judge.random_curve(evaluations)
    else:
        from nasbench.protocol.training_judge import random_curve

        config = parts.config
        baseline = random_baseline(parts, config.baseline, reporter)
        final = final_training(parts, architecture, config.seeds, run, reporter)
        verdict = parts.training_judge.verdict(final.test_accuracies, baseline)
        verdict = replace(verdict, sentence=" ".join([verdict.sentence, ONE_ARCHITECTURE, *other_goals(parts)]))
        # Validation accuracies of the baseline are random search's only where the search trains by the whole recipe.
        settings = config.evaluator.settings
        cheaper = {**settings, "macs": None, "repeats": None if settings.get("repeats") == 1 else 2}
        whole = config.evaluator.name in TRAINERS and all(value is None for value in cheaper.values())
        whole = whole and not parts.strategy.fidelities
        curve = random_curve(baseline, evaluations) if whole else None
    return {
        "architecture": architecture,
        "final": final,
        "baseline": baseline,
        "verdict": verdict,
        "random_search": random_search,
        "random_curve": curve,
    }


def other_goals(parts: Parts) -> list[str]:
    """Return what must be said beside a verdict on accuracy, because the search was not for accuracy alone."""
    first, sentences = parts.problem.objective, []
    if (first.name, first.maximize) != ("valid_accuracy", True):
        sentences.append(f"This compares accuracy, and the search was for {first} first.")
    if parts.config.constraints:
        sentences.append("The random architectures of the comparison are not held to the constraints.")
    return sentences


def random_baseline(parts: Parts, size: int, reporter: Reporter) -> Baseline:
    """Train the random architectures of a space, task and recipe, or take them from the cache."""
    judge = parts.training_judge
    cached = judge.cached(size)
    if cached == size:
        reporter.note(f"baseline: {size} random architectures, trained before ({judge.key})")
    with reporter.phase("random baseline", size) as step:
        return judge.baseline(size, lambda done: step(done, "random architectures trained"))


def final_training(
    parts: Parts, architecture: Architecture, seeds: int, folder: Path, reporter: Reporter
) -> FinalScores:
    """Train an architecture once a seed, test each network, and save the first that did not fail in ``folder``."""
    from nasbench.experiments.model import DESCRIPTION, save_model
    from nasbench.protocol.training_judge import final_seed

    config, task = parts.config, parts.search_task
    recipe = config.recipe
    assert task is not None and recipe is not None
    name = json.dumps(architecture.to_json())

    def trained(number: int, done: FinalTraining) -> None:
        if not (folder / DESCRIPTION).exists():
            save_model(folder, done.module, done.mean_std, config.space, architecture, task, recipe)

    with reporter.phase("final training", seeds) as step:
        return parts.training_judge.final(
            architecture,
            [final_seed(config.seed, name, number) for number in range(seeds)],
            folder / "final",
            trained=trained,
            progress=lambda done: step(done, "networks trained and tested"),
        )
