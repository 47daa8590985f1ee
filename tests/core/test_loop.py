"""The loop: replay after a stop at any instant equals an undisturbed search, for every kind of method."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from nasbench.core.errors import BadInput, Diverged
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.run_directory import open_run
from nasbench.core.seeding import generator, generator_state, restore_generator
from nasbench.core.strategy import Strategy
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.random import RandomSearch
from nasbench.testing.strategies import HashEvaluator, SmallSpace

SPACE = SmallSpace()


def value(architecture) -> float:
    return sum("abcd".index(v) for v in architecture.spec) / 18


class SharedScores:
    """Shared weights in small: one number a decision value, trained by an evaluator in units, read by candidates."""

    source, fingerprint = "shared", "shared"

    def __init__(self) -> None:
        self.version, self.weights = 0, np.zeros((6, 4))
        self.rng = generator(0, "shared weights")

    def due(self, progress) -> bool:
        return self.version <= progress.evaluations // 8

    def learn(self, sample) -> dict[str, float]:
        for _ in range(4):
            architecture = sample(self.rng)
            for row, choice in enumerate(architecture.spec):
                column = "abcd".index(choice)
                self.weights[row, column] += 0.1 * (column / 3 - self.weights[row, column])
        self.version += 1
        return {"loss": float(np.abs(self.weights).sum())}

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        score = sum(self.weights[row, "abcd".index(v)] for row, v in enumerate(proposal.architecture.spec))
        return Evaluation(id, proposal, {"valid_accuracy": float(score)}, "shared", seed, weights=self.version)

    def state_dict(self):
        return {"version": self.version, "weights": self.weights, "rng": generator_state(self.rng)}

    def load_state_dict(self, state) -> None:
        self.version, self.weights = state["version"], state["weights"].copy()
        restore_generator(self.rng, state["rng"])


class Inherited:
    """Inherited weights in small: a child's score starts from its parent's stored value; the bank grows by `absorb`."""

    source, fingerprint = "inherited", "inherited"

    def __init__(self) -> None:
        self.version, self.bank = 0, {}

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        start = self.bank.get(str(proposal.parent), 0.0)
        score = 0.5 * start + value(proposal.architecture) + np.random.default_rng(seed).normal() / 100
        return Evaluation(id, proposal, {"valid_accuracy": float(score)}, "inherited", seed, weights=self.version)

    def absorb(self, evaluations) -> None:
        for evaluation in evaluations:
            self.bank[str(evaluation.id)] = evaluation.metrics["valid_accuracy"]
        self.version += 1

    def state_dict(self):
        return {"version": self.version, "bank": dict(self.bank)}

    def load_state_dict(self, state) -> None:
        self.version, self.bank = state["version"], dict(state["bank"])


class Transformation(Strategy):
    """Proposes (child, parent id) in batches of three: the shape of a network transformation method."""

    def __init__(self, problem, config, rng, shared=None) -> None:
        super().__init__(problem, config, rng, shared)
        self.told: list[tuple] = []

    def ask(self) -> list[Proposal]:
        if not self.told:
            return [Proposal(self.space.sample(self.rng)) for _ in range(3)]
        parents = sorted(self.told, key=lambda item: -item[1])[:3]
        return [Proposal(self.space.mutate(a, self.rng), parent=id) for a, _, id in parents]

    def tell(self, evaluations) -> None:
        self.told += [(e.architecture, e.metrics["valid_accuracy"], e.id) for e in evaluations]

    def recommend(self, k: int = 1):
        return [a for a, _, _ in sorted(self.told, key=lambda item: -item[1])[:k]]

    def state_dict(self):
        told = [[a.to_json(), score, id] for a, score, id in self.told]
        return {"rng": generator_state(self.rng), "told": told}

    def load_state_dict(self, state) -> None:
        from nasbench.core.architecture import Architecture

        restore_generator(self.rng, state["rng"])
        self.told = [(Architecture.from_json(a), score, id) for a, score, id in state["told"]]


class Differentiable(Strategy):
    """Learns in units inside the strategy and shows its present choice once a unit."""

    def __init__(self, problem, config, rng, shared=None) -> None:
        super().__init__(problem, config, rng, shared)
        self.logits, self.units, self.shown = np.zeros((6, 4)), 0, 0

    def due(self, progress) -> bool:
        return self.units == self.shown

    def learn(self, sample) -> dict[str, float]:
        self.logits += 0.1 * np.arange(4) * self.rng.random((6, 4))
        self.units += 1
        return {"entropy": float(self.logits.std())}

    def ask(self) -> list[Proposal]:
        self.shown += 1
        return [Proposal(self._now())]

    def _now(self):
        from nasbench.core.architecture import Architecture

        return Architecture("small", tuple("abcd"[i] for i in self.logits.argmax(axis=1)))

    def tell(self, evaluations) -> None: ...

    def recommend(self, k: int = 1):
        return [self._now()]

    def state_dict(self):
        return {"rng": generator_state(self.rng), "logits": self.logits, "units": self.units, "shown": self.shown}

    def load_state_dict(self, state) -> None:
        restore_generator(self.rng, state["rng"])
        self.logits, self.units, self.shown = state["logits"].copy(), state["units"], state["shown"]


PAIRS = {
    "random, plain": (RandomSearch, HashEvaluator),
    "evolution, plain": (Evolution, HashEvaluator),
    "evolution, shared weights": (Evolution, SharedScores),
    "transformation, inherited weights": (Transformation, Inherited),
    "differentiable, plain": (Differentiable, HashEvaluator),
    "differentiable, shared weights": (Differentiable, SharedScores),
}


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class DyingLedger(Ledger):
    """Dies at a chosen append: before, in the middle of, or after writing the line."""

    def __init__(self, path: Path, fatal: int, where: str) -> None:
        super().__init__(path)
        self.path, self.fatal, self.where, self.appends = path, fatal, where, 0

    def append(self, record) -> None:
        self.appends += 1
        if self.appends == self.fatal:
            if self.where == "after":
                super().append(record)
            if self.where == "middle":
                with self.path.open("ab") as file:
                    file.write(json.dumps(record.to_record()).encode()[:25])
            raise Killed
        super().append(record)


def lines(folder: Path) -> list[dict]:
    records = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    return [{**record, "seconds": 0} for record in records]


def session(folder: Path, pair: str, ledger_type=Ledger, **arguments) -> list:
    strategy_type, evaluator_type = PAIRS[pair]
    problem = Problem(SPACE, None, Budget(evaluations=40), seed=3)
    strategy = strategy_type(problem, strategy_type.Config(), generator(3, "strategy"))
    with open_run(folder, {"pair": pair}, {}) as directory:
        ledger = ledger_type(folder / "evaluations.jsonl", **arguments)
        try:
            search(problem, strategy, evaluator_type(), ledger, checkpoints=directory)
        finally:
            ledger.close()
    return strategy.recommend()


@pytest.mark.parametrize("pair", PAIRS)
def test_killed_at_every_third_append_and_resumed_equals_undisturbed(
    pair: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = session(tmp_path / "whole", pair)
    monkeypatch.setattr("nasbench.core.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    folder = tmp_path / "killed"
    for attempt in range(200):
        where = ("before", "middle", "after")[attempt % 3]
        try:
            found = session(folder, pair, DyingLedger, fatal=3, where=where)
            break
        except Killed:
            continue
    assert attempt > 5
    assert lines(folder) == lines(tmp_path / "whole")
    assert found == expected


def test_a_batch_of_repeats_and_failures_resumes_exactly(tmp_path: Path) -> None:
    class Tiny(SmallSpace):
        name = "tiny"
        decisions = SmallSpace.decisions[:2]

    class Flaky(HashEvaluator):
        """Fails by seed, so that what fails at one position may succeed at another."""

        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            if seed % 2:
                raise RuntimeError("bad luck")
            return Evaluation(id, proposal, {"valid_accuracy": float(seed)}, "trained", seed)

    def go(ledger: Ledger) -> list[dict]:
        problem = Problem(Tiny(), None, Budget(evaluations=64), seed=0)
        strategy = RandomSearch(problem, RandomSearch.Config(), generator(0, "strategy"))
        search(problem, strategy, Flaky(), ledger)
        return json.loads(json.dumps([{**e.to_record(), "seconds": 0} for e in ledger.evaluations]))

    expected = go(Ledger())
    assert any(record.get("error") and "reuses" not in record for record in expected)
    for fatal in range(1, 64, 3):
        file = tmp_path / f"{fatal}.jsonl"
        with pytest.raises(Killed):
            go(DyingLedger(file, fatal, "before"))
        assert go(Ledger(file)) == expected


def test_without_checkpoints_the_ledger_alone_replays_a_stateless_evaluator(tmp_path: Path) -> None:
    session(tmp_path / "whole", "evolution, plain")
    with pytest.raises(Killed):
        session(tmp_path / "run", "evolution, plain", DyingLedger, fatal=30, where="middle")
    assert not (tmp_path / "run" / "checkpoint").exists()
    session(tmp_path / "run", "evolution, plain")
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")


class CountingEvaluator(HashEvaluator):
    def __init__(self) -> None:
        self.calls = 0

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        self.calls += 1
        return super().evaluate(proposal, id=id, seed=seed)


def in_memory(strategy_type, evaluator, evaluations: int, space=SPACE) -> Ledger:
    problem, ledger = Problem(space, None, Budget(evaluations=evaluations), seed=0), Ledger()
    search(problem, strategy_type(problem, strategy_type.Config(), generator(0, "strategy")), evaluator, ledger)
    return ledger


def test_a_repeated_encoding_is_answered_from_the_ledger_and_still_counts() -> None:
    class Tiny(SmallSpace):
        name = "tiny"
        decisions = SmallSpace.decisions[:2]

    evaluator = CountingEvaluator()
    ledger = in_memory(RandomSearch, evaluator, 200, Tiny())
    assert len(ledger) == 200
    copies = [e for e in ledger.evaluations if e.reuses is not None]
    assert len(copies) == 200 - evaluator.calls
    succeeded = {e.architecture for e in ledger.evaluations if e.status == "ok"}
    failed = [e for e in ledger.evaluations if e.status == "failed" and e.reuses is None]
    assert evaluator.calls == len(succeeded) + len(failed)  # in a later batch what failed is tried again
    assert len(failed) > 16 - len(succeeded)
    for copy in copies:
        assert copy.seconds == 0 and copy.metrics == ledger.evaluations[copy.reuses].metrics


class Repeating(RandomSearch):
    """Asks for one architecture four times: twice alike, and once each for two more seeds."""

    def ask(self) -> list[Proposal]:
        architecture = self.space.sample(self.rng)
        return [Proposal(architecture, repeat=repeat) for repeat in (0, 0, 1, 2)]


def test_a_method_may_ask_for_another_seed() -> None:
    class Noisy(CountingEvaluator):
        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            self.calls += 1
            return Evaluation(id, proposal, {"valid_accuracy": float(seed)}, "trained", seed)

    evaluator = Noisy()
    ledger = in_memory(Repeating, evaluator, 4)
    assert evaluator.calls == 3
    assert len({e.metrics["valid_accuracy"] for e in ledger.evaluations}) == 3
    assert ledger.evaluations[1].reuses == 0


def test_a_candidate_that_crashes_diverges_or_runs_out_of_memory_is_recorded_and_the_search_goes_on() -> None:
    class Crashing(HashEvaluator):
        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            errors = {1: Diverged("the loss was nan"), 2: MemoryError("no memory"), 3: ValueError("odd\nshape")}
            if id in errors:
                raise errors[id]
            return Evaluation(id, proposal, {"valid_accuracy": math.nan if id == 4 else 50.0}, "trained", seed)

    ledger = in_memory(RandomSearch, Crashing(), 6)
    assert [e.status for e in ledger.evaluations] == ["ok", "failed", "failed", "failed", "failed", "ok"]
    assert [e.error for e in ledger.evaluations[1:5]] == [
        "the loss was nan",
        "MemoryError: no memory",
        "ValueError: odd",
        "not a finite number: valid_accuracy is nan",
    ]


def test_bad_input_from_an_evaluator_ends_the_search() -> None:
    class Refusing(HashEvaluator):
        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            raise BadInput("no such fidelity")

    with pytest.raises(BadInput, match="no such fidelity"):
        in_memory(RandomSearch, Refusing(), 6)


def test_a_batch_is_cut_to_the_budget_and_recorded_one_by_one(tmp_path: Path) -> None:
    assert len(in_memory(Repeating, HashEvaluator(), 6)) == 6
    seen: list[int] = []

    class Watching(HashEvaluator):
        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            seen.append(len(ledger))
            return Evaluation(id, proposal, {"valid_accuracy": 1.0}, "trained", seed)

    problem, ledger = Problem(SPACE, None, Budget(evaluations=3), seed=0), Ledger()
    search(problem, Transformation(problem, None, generator(0, "s")), Watching(), ledger)
    assert seen == [0, 1, 2]


def test_a_time_budget_ends_the_search() -> None:
    problem, ledger = Problem(SPACE, None, Budget(seconds=0.05), seed=0), Ledger()
    progress = search(problem, RandomSearch(problem, RandomSearch.Config(), generator(0, "s")), HashEvaluator(), ledger)
    assert progress.seconds >= 0.05 and progress.evaluations == len(ledger) > 0


def test_a_time_budget_holds_over_sessions(tmp_path: Path) -> None:
    class Slow(HashEvaluator):
        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            time.sleep(0.01)
            return Evaluation(id, proposal, {"valid_accuracy": 1.0 + id}, "trained", seed, seconds=0.02)

    problem = Problem(SPACE, None, Budget(seconds=0.3), seed=3)

    def go(ledger: Ledger, directory) -> int:
        strategy = RandomSearch(problem, RandomSearch.Config(), generator(3, "strategy"))
        return search(problem, strategy, Slow(), ledger, checkpoints=directory).evaluations

    with open_run(tmp_path, {}, {}) as directory:
        with pytest.raises(Killed):
            go(DyingLedger(tmp_path / "evaluations.jsonl", fatal=12, where="after"), directory)
        assert go(Ledger(tmp_path / "evaluations.jsonl"), directory) in range(13, 20)
        told = len(Ledger(tmp_path / "evaluations.jsonl"))
        assert (
            go(Ledger(tmp_path / "evaluations.jsonl"), directory) == told == len(Ledger(tmp_path / "evaluations.jsonl"))
        )


def test_what_was_not_told_yet_cannot_be_gone_on_from() -> None:
    class OwnBatch(RandomSearch):
        def ask(self) -> list[Proposal]:
            return [proposal._replace(parent=1) for proposal in super().ask()]

    with pytest.raises(BadInput, match="evaluation 0 cannot go on from evaluation 1"):
        in_memory(OwnBatch, HashEvaluator(), 6)


def test_a_ledger_of_another_search_is_refused(tmp_path: Path) -> None:
    session(tmp_path / "run", "random, plain")
    problem = Problem(SPACE, None, Budget(evaluations=40), seed=3)
    ledger = Ledger(tmp_path / "run" / "evaluations.jsonl")
    with pytest.raises(BadInput, match="another architecture"):
        search(
            problem, RandomSearch(problem, RandomSearch.Config(), generator(99, "strategy")), HashEvaluator(), ledger
        )
