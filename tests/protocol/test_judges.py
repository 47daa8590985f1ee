"""The two final evaluations: by a table that knows all answers, and by training, each training paid for once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput, Diverged, SearchFailed
from nasbench.core.problem import SearchTask, Task
from nasbench.core.seeding import generator
from nasbench.evaluators import training
from nasbench.evaluators.training import accuracy, build_and_train, count_parameters
from nasbench.protocol.scores import TABLE_SAMPLER
from nasbench.protocol.table_judge import TableJudge, random_search_record
from nasbench.protocol.training_judge import TrainingJudge, final_seed, random_curve
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables.held_out import test_accuracies as final_scores
from nasbench.tables.nasbench201 import Table, load
from tests.evaluators.small_networks import random_images, recipe

CELLS = NasBench201()
SHORTCUTS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


# -- the table -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def opened() -> dict[Path, tuple[Table, TableJudge]]:
    """Keep table and judge, which never change, for all tests of this file."""
    return {}


@pytest.fixture
def cifar10(table: Path, opened: dict[Path, tuple[Table, TableJudge]]) -> Table:
    if table not in opened:
        scores = load("cifar10", table)
        opened[table] = scores, TableJudge(scores, table)
    return opened[table][0]


@pytest.fixture
def table_judge(table: Path, cifar10: Table, opened: dict[Path, tuple[Table, TableJudge]]) -> TableJudge:
    return opened[table][1]


def test_the_final_score_of_a_cell_is_the_tables(table_judge: TableJudge) -> None:
    cell = CELLS.parse(SHORTCUTS)
    final = table_judge.final(cell)
    assert final.test_accuracies == pytest.approx((54.2967,), abs=1e-4)
    assert final.valid_accuracies == pytest.approx((33.944,), abs=1e-4)
    assert (final.seeds, final.seconds, final.failures) == ((), 0.0, ())


def test_the_baseline_is_that_of_all_cells(table_judge: TableJudge, cifar10: Table, table: Path) -> None:
    scores = final_scores("cifar10", table)
    baseline = table_judge.baseline()
    assert baseline.mean == pytest.approx(87.0629, abs=1e-4) and baseline.mean == pytest.approx(scores.mean())
    assert baseline.std == pytest.approx(np.sqrt(np.mean((scores - scores.mean()) ** 2)))
    assert baseline.median == np.median(scores)
    assert (baseline.n, baseline.source, baseline.sampler) == (15_625, "table-exact", TABLE_SAMPLER)
    assert baseline.key == cifar10.fingerprint and baseline.seconds == 0.0 and baseline.scores is None
    assert baseline.histogram is not None and sum(baseline.histogram["counts"]) == 15_625
    assert len(baseline.histogram["edges"]) == len(baseline.histogram["counts"]) + 1
    assert json.loads(json.dumps(baseline.to_json()))["mean"] == baseline.mean


def test_random_search_of_one_evaluation_is_the_average_cell(table_judge: TableJudge) -> None:
    one, baseline = table_judge.random_search(1), table_judge.baseline()
    assert one.mean == pytest.approx(baseline.mean) and one.std == pytest.approx(baseline.std)
    assert random_search_record(one, baseline.median)["percentile"] == pytest.approx(50, abs=0.5)


def test_random_search_of_the_whole_table_is_certain(table_judge: TableJudge, cifar10: Table, table: Path) -> None:
    best_by_validation = final_scores("cifar10", table)[cifar10.valid_accuracy.argmax()]
    for evaluations in (15_625, 20_000):
        search = table_judge.random_search(evaluations)
        assert search.mean == pytest.approx(best_by_validation) and search.std == pytest.approx(0, abs=1e-5)
    assert table_judge.random_search(1).mean < table_judge.random_search(50).mean < search.mean


def test_the_curve_of_random_search_rises_to_the_best_validation_score(table_judge: TableJudge, cifar10: Table) -> None:
    curve = table_judge.random_curve(20_000)
    assert curve["evaluations"][0] == 1 and curve["evaluations"][-1] == 15_625
    assert curve["mean"][0] == pytest.approx(cifar10.valid_accuracy.mean())
    assert curve["mean"][-1] == pytest.approx(cifar10.valid_accuracy.max())
    assert np.all(np.diff(curve["mean"]) > 0)
    assert np.all(np.array(curve["low"]) <= curve["high"])


@pytest.mark.parametrize(
    ("scores", "words", "against"),
    [
        ([94.3, 94.35, 94.3, 94.37, 94.3], "better than random", "random search"),
        ([80.0, 85.0, 70.0, 60.0, 82.0], "worse than random", "random search"),
        ([94.3, 94.3, 94.3], "3 runs: no test", None),
        ([94.3], "one run: no test", None),
    ],
)
def test_runs_are_judged_against_random_search_of_the_same_cost(
    table_judge: TableJudge, scores: list[float], words: str, against: str | None
) -> None:
    verdict = table_judge.verdict(scores, 50)
    assert (verdict.words, verdict.against) == (words, against)
    mean = table_judge.baseline().mean
    assert verdict.relative_improvement.value == pytest.approx(100 * (np.mean(scores) - mean) / mean)
    assert verdict.gain_over_random_search == pytest.approx(np.mean(scores) - table_judge.random_search(50).mean)
    assert (verdict.p_random_search is None) == (against is None)


def test_random_searches_cannot_be_told_from_random_search(table_judge: TableJudge) -> None:
    exact = table_judge.random_search(50)
    scores = [exact.quantile(q) for q in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert table_judge.verdict(scores, 50).words == "cannot be told from random"


# -- training --------------------------------------------------------------------------------------------------------
class Head(nn.Module):
    def __init__(self, inputs: int, classes: int, gain: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, classes)
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)) * self.gain


class Fragile(DecisionSpace):
    """Linear networks, half of which produce infinite logits and so diverge in the first step."""

    name = "fragile"
    decisions = (Choice("head", ("sound", "broken")), Choice("gain", (0.5, 1.0, 2.0)))

    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        head, gain = architecture.spec
        return Head(int(np.prod(task.input_shape)), task.classes, float("inf") if head == "broken" else gain)


class Sound(Fragile):
    name = "sound"
    decisions = (Choice("head", ("sound",)), *Fragile.decisions[1:])


GOOD, BROKEN = Architecture("fragile", ("sound", 1.0)), Architecture("fragile", ("broken", 1.0))
RECIPE = recipe(name="tiny", epochs=1, batch_size=16, final_data="train")
PIXELS = (1, 4, 4)
TASK = Task(
    SearchTask("pixels", "image", PIXELS, 4, random_images(48, PIXELS, 4, 0), random_images(20, PIXELS, 4, 1), "p"),
    random_images(40, PIXELS, 4, 2),
)


@dataclass
class Trainings:
    """What was trained, in order: architecture, seed, number of images."""

    done: list[tuple[Architecture, int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.done)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """Count the trainings, which are real."""
    seen = Trainings()

    def counting(space, architecture, task, recipe, seed, *, data):
        seen.done.append((architecture, seed, len(data)))
        return build_and_train(space, architecture, task, recipe, seed, data=data)

    monkeypatch.setattr(training, "build_and_train", counting)
    return seen


def judge(folder: Path, space: DecisionSpace | None = None, **changes: Any) -> TrainingJudge:
    return TrainingJudge(space or Fragile(), [], TASK, RECIPE.model_copy(update=changes), folder)


def test_a_final_training_is_what_the_recipe_says(tmp_path: Path, trainings: Trainings) -> None:
    fresh: list[tuple[int, int]] = []
    final = judge(tmp_path).final(
        GOOD,
        [5, 6],
        tmp_path / "final",
        trained=lambda number, done: fresh.append((number, count_parameters(done.module))),
    )
    assert trainings.done == [(GOOD, 5, 48), (GOOD, 6, 48)]
    assert fresh == [(0, 68), (1, 68)] and final.parameters == 68
    assert (final.seeds, final.failures) == ((5, 6), ()) and final.seconds > 0
    for number, seed in enumerate((5, 6)):
        network, record = build_and_train(Fragile(), GOOD, TASK.search, RECIPE, seed)
        assert final.test_accuracies[number] == accuracy(network, TASK.test, record.mean_std)
        assert final.valid_accuracies[number] == accuracy(network, TASK.search.validation, record.mean_std)


def test_a_finished_training_is_never_repeated(tmp_path: Path, trainings: Trainings) -> None:
    fresh: list[int] = []
    progress: list[int] = []

    def finish(seeds: list[int]):
        return judge(tmp_path).final(
            GOOD, seeds, tmp_path / "final", trained=lambda n, *_: fresh.append(n), progress=progress.append
        )

    first = finish([5, 6])
    assert finish([5, 6]) == first and len(trainings) == 2
    more = finish([5, 6, 7])
    assert more.test_accuracies[:2] == first.test_accuracies and len(more.test_accuracies) == 3
    assert [seed for _, seed, _ in trainings.done] == [5, 6, 7] and fresh == [0, 1, 2]
    assert progress == [1, 2, 1, 2, 1, 2, 3]


def test_a_kill_loses_one_training(tmp_path: Path, trainings: Trainings) -> None:
    class Killed(BaseException):
        pass

    def dies(number: int, done: object) -> None:
        if number == 1:
            raise Killed

    with pytest.raises(Killed):
        judge(tmp_path).final(GOOD, [5, 6, 7], tmp_path / "final", trained=dies)
    judge(tmp_path).final(GOOD, [5, 6, 7], tmp_path / "final")
    assert [seed for _, seed, _ in trainings.done] == [5, 6, 6, 7]


def test_the_same_seeds_give_the_same_scores_anywhere(tmp_path: Path) -> None:
    one, two = (judge(tmp_path / name).final(GOOD, [5, 6], tmp_path / name) for name in "ab")
    assert replace(one, seconds=0) == replace(two, seconds=0)
    one, two = (judge(tmp_path / name).baseline(3) for name in "ab")
    assert replace(one, seconds=0) == replace(two, seconds=0)
    assert one.key == two.key


def test_a_record_of_another_training_is_refused(tmp_path: Path, trainings: Trainings) -> None:
    folder = tmp_path / "final"
    judge(tmp_path).final(GOOD, [5, 6], folder)
    for architecture, seeds in ((GOOD, [5, 7]), (Architecture("fragile", ("sound", 2.0)), [5, 6])):
        with pytest.raises(BadInput, match=r"training-0[01]\.json belongs to another training"):
            judge(tmp_path).final(architecture, seeds, folder)
    (folder / "training-00.json").write_text("[]")
    with pytest.raises(BadInput, match=r"training-00\.json is not a JSON object"):
        judge(tmp_path).final(GOOD, [5, 6], folder)
    assert len(trainings) == 2


def test_the_whole_training_data_leaves_nothing_to_validate_on(tmp_path: Path, trainings: Trainings) -> None:
    whole = judge(tmp_path, Sound(), final_data="train+validation")
    final = whole.final(Architecture("sound", ("sound", 1.0)), [5], tmp_path / "final")
    assert final.valid_accuracies == (None,) and 0 <= final.test_accuracies[0] <= 100
    baseline = whole.baseline(2)
    assert baseline.valid_scores is None and random_curve(baseline, 10) is None
    assert {images for _, _, images in trainings.done} == {48 + 20}


class Moody(Fragile):
    """Whether a network is sound is drawn with its weights."""

    name = "moody"

    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        drawn = "broken" if torch.rand(()).item() < 0.5 else "sound"
        return super().build(Architecture("moody", (drawn, architecture.spec[1])), task)


MOODY = Architecture("moody", ("sound", 1.0))


def diverges(seed: int) -> bool:
    try:
        build_and_train(Moody(), MOODY, TASK.search, RECIPE, seed)
    except Diverged:
        return True
    return False


@pytest.mark.parametrize(("final_data", "valid"), [("train", 25.0), ("train+validation", None)])
def test_a_training_that_diverges_counts_at_chance(
    tmp_path: Path, trainings: Trainings, final_data: str, valid: float | None
) -> None:
    broken = next(seed for seed in range(100) if diverges(seed))
    sound = next(seed for seed in range(100) if not diverges(seed))
    judging = judge(tmp_path, Moody(), final_data=final_data)
    seeds = [broken, sound, broken]
    final = judging.final(MOODY, seeds, tmp_path / "final")
    assert final.seeds == tuple(seeds) and len(final.test_accuracies) == len(final.valid_accuracies) == 3
    assert final.test_accuracies[0] == final.test_accuracies[2] == 25.0
    assert final.valid_accuracies[0] == final.valid_accuracies[2] == valid
    assert len(final.failures) == 2 and final.failures[0].startswith("the loss was nan in epoch 1")
    assert final.parameters == 68
    assert judging.final(MOODY, seeds, tmp_path / "final") == final  # failures are remembered, not tried again
    assert len(trainings) == 3


def test_a_search_whose_every_final_training_diverges_has_failed(tmp_path: Path, trainings: Trainings) -> None:
    for _ in range(2):
        with pytest.raises(SearchFailed, match="every final training of the found architecture failed: the loss was"):
            judge(tmp_path).final(BROKEN, [5, 6], tmp_path / "final")
    assert len(trainings) == 2


# -- the trained baseline --------------------------------------------------------------------------------------------
def test_a_growing_baseline_trains_what_is_missing(tmp_path: Path, trainings: Trainings) -> None:
    progress: list[int] = []
    two = judge(tmp_path).baseline(2)
    assert len(trainings) == 2 and judge(tmp_path).cached(3) == 2
    three = judge(tmp_path).baseline(3, progress.append)
    assert len(trainings) == 3 and progress == [1, 2, 3] and judge(tmp_path).cached(3) == 3
    assert three.scores is not None and two.scores == three.scores[:2]
    assert judge(tmp_path).baseline(2) == two and len(trainings) == 3
    assert (two.n, three.n, three.source) == (2, 3, "trained")
    assert three.mean == pytest.approx(np.mean(three.scores)) and three.median == np.median(three.scores)
    assert three.std == pytest.approx(np.std(three.scores, ddof=1))
    expected = [(final_seed(0, three.key, number), 48) for number in range(3)]
    assert [(seed, images) for _, seed, images in trainings.done] == expected


def drawn(space: DecisionSpace, key: str, count: int) -> list[Architecture]:
    """Return the architectures that a baseline of this key consists of."""
    rng = generator(0, f"baseline {key}")
    return [space.sample(rng) for _ in range(count)]


def test_diverging_architectures_stay_in_the_baseline_at_chance(tmp_path: Path, trainings: Trainings) -> None:
    judging = judge(tmp_path)
    size = next(n for n in range(2, 100) if len({a.spec[0] for a in drawn(Fragile(), judging.key, n)}) == 2)
    members = drawn(Fragile(), judging.key, size)
    baseline = judging.baseline(size)
    assert [architecture for architecture, *_ in trainings.done] == members
    broken = [number for number, architecture in enumerate(members) if architecture.spec[0] == "broken"]
    assert baseline.n == size and baseline.scores is not None and baseline.valid_scores is not None
    assert len(baseline.scores) == len(baseline.valid_scores) == size
    assert len(baseline.failures) == len(broken) > 0
    assert all(reason.startswith("the loss was nan") for reason in baseline.failures)
    assert {baseline.scores[number] for number in broken} == {baseline.valid_scores[n] for n in broken} == {25.0}
    judging.baseline(size)
    assert len(trainings) == size


def test_baselines_of_other_recipes_spaces_and_data_are_kept_apart(tmp_path: Path) -> None:
    other_data = Task(replace(TASK.search, fingerprint="q"), TASK.test)
    keys = {
        judge(tmp_path).key,
        judge(tmp_path, epochs=2).key,
        judge(tmp_path, Sound()).key,
        TrainingJudge(Fragile(), ["other settings"], TASK, RECIPE, tmp_path).key,
        TrainingJudge(Fragile(), [], other_data, RECIPE, tmp_path).key,
    }
    assert len(keys) == 5


def test_a_baseline_of_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least 2 random architectures, not 1"):
        judge(tmp_path).baseline(1)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for work in (
        judge(tmp_path / "file").baseline,
        lambda n: judge(tmp_path).final(GOOD, [n], tmp_path / "file" / "f"),
    ):
        with pytest.raises(BadInput, match="cannot write to"):
            work(2)


def test_the_curve_of_random_search_comes_from_the_baseline(tmp_path: Path) -> None:
    baseline = judge(tmp_path, Sound()).baseline(4)
    curve = random_curve(baseline, 50)
    assert curve is not None and baseline.valid_scores is not None
    assert curve["evaluations"][0] == 1 and curve["evaluations"][-1] == 50
    assert curve["mean"][0] == pytest.approx(np.mean(baseline.valid_scores))
    assert max(curve["mean"]) <= max(baseline.valid_scores) + 1e-9


@pytest.mark.parametrize(
    ("scores", "random_search", "words"),
    [
        ([90.0, 91.0, 90.5, 90.2, 90.8], None, "better than the average random architecture"),
        ([90.0, 91.0, 90.5, 90.2, 90.8], [80.0, 81.0, 80.5, 80.2, 80.8], "better than random"),
        ([90.0, 91.0, 90.5, 90.2, 90.8], [90.1, 91.0, 90.4, 90.3, 90.7], "cannot be told from random"),
        ([90.0, 91.0], None, "2 runs: no test"),
    ],
)
def test_trained_runs_are_judged_by_their_scores(
    tmp_path: Path, scores: list[float], random_search: list[float] | None, words: str
) -> None:
    judging: Callable[..., Any] = judge(tmp_path, Sound()).verdict
    baseline = replace(judge(tmp_path, Sound()).baseline(5), scores=(70.0, 71.0, 72.0, 73.0, 74.0))
    assert judging(scores, baseline, random_search).words == words
