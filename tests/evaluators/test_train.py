import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput, Diverged
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.loop import evaluate_safely
from nasbench.core.problem import SearchTask
from nasbench.core.state import load_state, save_state
from nasbench.datasets.augment import normalise
from nasbench.datasets.digits import read_digits
from nasbench.datasets.images import Images
from nasbench.datasets.splits import make_task
from nasbench.evaluators.building import seeds_of_repeats
from nasbench.evaluators.recipe import RECIPES, Recipe
from nasbench.evaluators.train import TrainConfig, TrainEvaluator, cost_estimate
from nasbench.evaluators.training import accuracy, build, build_and_train, count_parameters, learning_rates
from nasbench.evaluators.training import train_network as train
from nasbench.networks import device as settings
from nasbench.search_spaces.darts import Darts
from nasbench.search_spaces.nasbench201 import NasBench201


class Plain(DecisionSpace):
    """Two convolutions and a linear layer: a space as a user writes it."""

    name = "plain"
    decisions = (Choice("width", (8, 16)), Choice("kernel", (3, 5)), Choice("act", ("relu", "gelu")))

    def build(self, a: Architecture, task: SearchTask, size: object = None) -> nn.Module:
        pick = self.choices(a)
        width, kernel, act = pick["width"], pick["kernel"], {"relu": nn.ReLU, "gelu": nn.GELU}[pick["act"]]
        layers: list[nn.Module] = []
        for inputs in (task.input_shape[0], width):
            layers += [nn.Conv2d(inputs, width, kernel, 2, kernel // 2), nn.BatchNorm2d(width), act()]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * 4, task.classes))


class WidthSize(BaseModel):
    channels: int = 4
    auxiliary: bool = False


class Sized(DecisionSpace):
    """A space whose Size has channels and an auxiliary head, and no cells."""

    name = "sized"
    decisions = (Choice("act", ("relu", "gelu")),)
    Size = WidthSize

    def build(self, a: Architecture, task: SearchTask, size: WidthSize | None = None) -> nn.Module:
        return TwoHeads(math.prod(task.input_shape), task.classes, size or WidthSize())


class TwoHeads(nn.Module):
    def __init__(self, inputs: int, classes: int, size: WidthSize) -> None:
        super().__init__()
        self.body = nn.Linear(inputs, size.channels)
        self.head = nn.Linear(size.channels, classes)
        self.auxiliary = nn.Linear(size.channels, classes) if size.auxiliary else None
        self.drop_paths: list[float] = []

    def set_drop_path(self, probability: float) -> None:
        self.drop_paths.append(probability)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = torch.relu(self.body(x.flatten(1)))
        if self.training and self.auxiliary is not None:
            return self.head(features), self.auxiliary(features)
        return self.head(features)


def linear_network() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def random_images(n: int, shape: tuple[int, int, int] = (3, 2, 2), classes: int = 3) -> Images:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % classes)


PLAIN = Recipe(
    name="plain",
    epochs=4,
    batch_size=64,
    learning_rate=0.1,
    drop_path=0.0,
    auxiliary_weight=0.0,
    channels=None,
    cells=None,
    crop_padding=0,
    flip=False,
    cutout=0,
)
QUICK = RECIPES["digits"].model_copy(update={"epochs": 4})
SMALL_NET = Architecture("plain", (16, 3, "relu"))


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate(PLAIN.model_dump() | changes)


@pytest.fixture(scope="module")
def digits() -> SearchTask:
    return make_task("digits", read_digits(), seed=0, validation=0.25, test=0.2).task.search


@pytest.fixture(scope="module")
def few(digits: SearchTask) -> SearchTask:
    """The first 200 training and 100 validation digits: for tests that care for no accuracy."""
    first = torch.arange(200)
    return replace(digits, train=digits.train.subset(first), validation=digits.validation.subset(first[:100]))


# -- the learning rate -----------------------------------------------------------------------------------------------
def test_the_cosine_per_epoch_is_that_of_torch() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=6, eta_min=0.01)
    expected = []
    for _ in range(6):
        expected += [optimiser.param_groups[0]["lr"]] * 3
        optimiser.step()
        schedule.step()
    assert learning_rates(recipe(epochs=6, learning_rate_end=0.01), steps=3) == pytest.approx(expected)


def test_the_warm_up_rises_to_the_cosine() -> None:
    rates = learning_rates(recipe(epochs=10, schedule="cosine per step", warmup_epochs=2), steps=5)
    assert len(rates) == 50
    assert rates[:11] == pytest.approx([0.1 * i / 11 for i in range(1, 12)])
    assert np.all(np.diff(rates[10:]) < 0)
    assert 0 < rates[-1] < 0.001


# -- the loop --------------------------------------------------------------------------------------------------------
def test_training_equals_sgd_written_out() -> None:
    """Full batches of a linear model against the formulas of SGD with Nesterov momentum, decay and clipping."""
    images = random_images(30)
    r = recipe(epochs=5, batch_size=100, nesterov=True, weight_decay=0.01, gradient_clip=0.3, label_smoothing=0.1)
    module = linear_network()
    record = train(module, images, r, seed=3)

    reference = linear_network()
    weights = list(reference.parameters())
    inputs = normalise(images.images, *images.statistics())
    momenta = [torch.zeros_like(w) for w in weights]
    losses = []
    for epoch in range(5):
        loss = nn.functional.cross_entropy(reference(inputs), images.labels, label_smoothing=0.1)
        gradients = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        rate = 0.05 * (1 + math.cos(math.pi * epoch / 5))
        losses.append(loss.item())
        with torch.no_grad():
            for w, g, m in zip(weights, gradients, momenta, strict=True):
                step = g * min(1.0, 0.3 / norm) + 0.01 * w
                m.mul_(0.9).add_(step)
                w -= rate * (step + 0.9 * m)
    assert norm > 0.3  # the clipping had something to do
    assert record.losses == pytest.approx(losses, abs=1e-5)
    for mine, theirs in zip(module.parameters(), weights, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(10, 4, 2), (12, 4, 3), (3, 8, 1)])
def test_the_incomplete_batch_is_left_out(n: int, batch_size: int, steps: int) -> None:
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 3))
    train(module, random_images(n), recipe(epochs=2, batch_size=batch_size), seed=0)
    counted = module[0].num_batches_tracked
    assert isinstance(counted, Tensor)
    assert int(counted) == 2 * steps


def test_every_epoch_has_another_order_and_another_seed_too() -> None:
    images = random_images(50)
    seen: list[list[int]] = []

    class Watch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear_network()

        def forward(self, x: Tensor) -> Tensor:
            distances = (x[:, None] - inputs[None]).abs().amax(dim=(2, 3, 4))
            seen.append(distances.argmin(dim=1).tolist())
            return self.inner(x)

    inputs = normalise(images.images, *images.statistics())
    for seed in (0, 1):
        train(Watch(), images, recipe(epochs=2, batch_size=50), seed)
    assert all(sorted(order) == list(range(50)) for order in seen)
    assert len({tuple(order) for order in seen}) == 4


def test_the_callers_generator_threads_and_settings_are_untouched(few: SearchTask) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.backends.cudnn.deterministic
    build_and_train(Plain(), SMALL_NET, few, recipe(epochs=1, threads=3), seed=0)
    after = torch.get_rng_state(), torch.get_num_threads(), torch.backends.cudnn.deterministic
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_drop_path_rises_with_the_epochs(few: SearchTask) -> None:
    module, record = build_and_train(
        Sized(), Architecture("sized", ("relu",)), few, recipe(epochs=4, drop_path=0.2), seed=0
    )
    assert isinstance(module, TwoHeads)
    assert module.drop_paths == pytest.approx([0.0, 0.05, 0.1, 0.15])
    assert record.epochs == len(record.losses) == 4


def test_the_auxiliary_head_is_trained_and_not_counted(few: SearchTask) -> None:
    architecture = Architecture("sized", ("relu",))
    r = recipe(auxiliary_weight=0.4, epochs=1, weight_decay=0.0)
    start = build(Sized(), architecture, few, r, seed=0)
    module, _ = build_and_train(Sized(), architecture, few, r, seed=0)
    assert isinstance(module, TwoHeads)
    assert isinstance(start, TwoHeads)
    assert module.auxiliary is not None
    assert start.auxiliary is not None
    assert not torch.equal(module.auxiliary.weight, start.auxiliary.weight)
    without, _ = build_and_train(Sized(), architecture, few, recipe(epochs=1, weight_decay=0.0), seed=0)
    assert isinstance(without, TwoHeads)
    assert without.auxiliary is None
    assert count_parameters(module) == count_parameters(without) == sum(p.numel() for p in without.parameters())
    assert not torch.equal(module.body.weight, without.body.weight)  # its gradient reached the body


def test_on_epoch_sees_every_loss(few: SearchTask) -> None:
    calls: list[tuple[int, float]] = []
    _, record = build_and_train(
        Plain(), SMALL_NET, few, PLAIN, seed=0, on_epoch=lambda epoch, loss: calls.append((epoch, loss))
    )
    assert calls == list(enumerate(record.losses, start=1))


def test_inputs_are_normalised_by_the_training_part_whatever_is_trained_on(few: SearchTask) -> None:
    brighter = Images(few.train.images // 2 + 120, few.train.labels)
    _, record = build_and_train(Plain(), SMALL_NET, few, recipe(epochs=1), seed=0, data=brighter)
    mean, std = few.train.statistics()
    assert torch.equal(record.mean_std[0], mean)
    assert torch.equal(record.mean_std[1], std)
    assert not torch.equal(brighter.statistics()[0], mean)
    _, usual = build_and_train(Plain(), SMALL_NET, few, recipe(epochs=1), seed=0)
    assert usual.losses != record.losses


@pytest.mark.parametrize("broken", [lambda x: x * math.nan, lambda x: x * 1e4])
def test_a_loss_that_is_not_finite_or_far_above_guessing_ends_the_training(broken: Callable[[Tensor], Tensor]) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear_network()

        def forward(self, x: Tensor) -> Tensor:
            return broken(self.inner(x))

    with pytest.raises(Diverged, match="loss was"):
        train(Broken(), random_images(30), recipe(batch_size=10, learning_rate=1e-9), seed=0)


def test_a_mad_learning_rate_is_a_failed_evaluation(few: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), few, recipe(learning_rate=1e6))
    with pytest.raises(Diverged):
        evaluator.evaluate(Proposal(SMALL_NET), id=0, seed=1)
    failed = evaluate_safely(evaluator, Proposal(SMALL_NET), 0, 1)
    assert failed.status == "failed"
    assert failed.metrics == {}
    assert "loss" in (failed.error or "")


def test_accuracy_counts_every_image() -> None:
    class Brightness(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([torch.zeros(len(x)), x.mean(dim=(1, 2, 3))], dim=1)

    pixels = torch.tensor([0, 10, 200, 255, 220, 5, 250], dtype=torch.uint8)[:, None, None, None].expand(7, 1, 2, 2)
    labels = torch.tensor([0, 0, 1, 1, 1, 1, 0])
    images = Images(pixels.contiguous(), labels)
    statistics = torch.tensor([0.5]), torch.tensor([0.25])
    module = Brightness().train()
    for batch_size in (2, 7, 512):
        assert accuracy(module, images, statistics, batch_size) == pytest.approx(100 * 5 / 7)
    assert not module.training


# -- in parts --------------------------------------------------------------------------------------------------------
class Restless(nn.Module):
    """Has all that a training in parts must restore: channels-last weights, statistics, dropout, an unused weight."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 1))
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Flatten(), nn.Linear(20, 3))
        self.unused = nn.Parameter(torch.ones(2))
        self.drop_paths: list[float] = []

    def set_drop_path(self, probability: float) -> None:
        self.drop_paths.append(probability)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.body(x))
        return output


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("schedule", ["cosine per step", "cosine per epoch"])
def test_a_training_in_parts_equals_one_in_one_go_to_the_last_bit(
    momentum: float, schedule: str, tmp_path: Path
) -> None:
    images = random_images(50)
    r = recipe(epochs=5, batch_size=16, momentum=momentum, schedule=schedule, warmup_epochs=1.5, drop_path=0.3)
    r = r.model_copy(update={"crop_padding": 1, "flip": True, "cutout": 1})

    def fresh() -> Restless:
        with settings.seeded(4):
            return Restless()

    whole = fresh()
    expected = train(whole, images, r, seed=3)
    losses, state, drop_paths = [], None, []
    for stop in (1, 3, 4, 5):
        module = fresh()
        record = train(module, images, r, seed=3, stop=stop, state=state)
        save_state(tmp_path / "state.json", record.state)
        state = load_state(tmp_path / "state.json")
        losses += record.losses
        drop_paths += module.drop_paths
        assert (record.epochs, state["epochs"]) == (stop, stop)
    assert losses == expected.losses
    assert drop_paths == whole.drop_paths
    assert module.state_dict().keys() == whole.state_dict().keys()
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in module.state_dict().items())
    last = expected.state
    assert last["momentum"].keys() == state["momentum"].keys() and bool(last["momentum"]) == (momentum > 0)
    assert all(torch.equal(value, state["momentum"][place]) for place, value in last["momentum"].items())
    assert all(torch.equal(value, state["generators"][name]) for name, value in last["generators"].items())


@pytest.mark.parametrize("space", [Darts(), NasBench201()], ids=["darts", "nasbench201"])
def test_built_in_spaces_go_on_to_the_last_bit(space: DecisionSpace, few: SearchTask, tmp_path: Path) -> None:
    r = recipe(channels=4, cells=3, drop_path=0.2, crop_padding=1, flip=True, cutout=2, schedule="cosine per step")
    architecture = space.sample(np.random.default_rng(1))
    evaluator = TrainEvaluator(space, few, r, TrainConfig(repeats=2))
    evaluator.store_in(tmp_path)

    def evaluate(epochs: float, id: int, parent: int | None) -> Evaluation:
        fidelity = (("epochs", epochs), ("schedule_epochs", 3.0))
        return evaluator.evaluate(Proposal(architecture, fidelity, parent), id=id, seed=5)

    first = evaluate(1.0, 0, None)
    assert first.weights_file == "weights/000000000.safetensors" and (tmp_path / first.weights_file).exists()
    continued = evaluate(3.0, 1, 0)
    evaluator.forget(2)
    assert continued.weights_file is None and list(tmp_path.iterdir()) == []
    anew = evaluate(3.0, 2, 0)  # what it would have gone on from is deleted
    assert anew.metrics == continued.metrics
    assert anew.metrics == evaluator.evaluate(Proposal(architecture, (("epochs", 3.0),)), id=3, seed=5).metrics
    squeezed = TrainEvaluator(space, few, r, TrainConfig(epochs=1, repeats=2))
    alone = squeezed.evaluate(Proposal(architecture), id=0, seed=5)
    assert alone.metrics["train_loss"] != first.metrics["train_loss"]  # one epoch of one is not the first of three


def test_only_the_same_training_is_gone_on_with_and_a_changed_file_is_refused(few: SearchTask, tmp_path: Path) -> None:
    evaluator = TrainEvaluator(Plain(), few, PLAIN)
    evaluator.store_in(tmp_path)

    def evaluate(a: Architecture, epochs: float, id: int, parent: int | None = None, seed: int = 1) -> Evaluation:
        return evaluator.evaluate(Proposal(a, (("epochs", epochs), ("schedule_epochs", 4.0)), parent), id=id, seed=seed)

    evaluate(SMALL_NET, 2.0, 0)
    other = Architecture("plain", (8, 3, "relu"))
    for proposal in [(other, 3.0), (SMALL_NET, 2.0), (SMALL_NET, 1.0)]:
        assert evaluate(*proposal, id=1, parent=0).metrics == evaluate(*proposal, id=2).metrics
    assert evaluate(SMALL_NET, 3.0, 1, 0, seed=2).metrics == evaluate(SMALL_NET, 3.0, 2, seed=2).metrics
    file = tmp_path / "weights" / "000000000.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(BadInput, match="damaged or was changed"):
        evaluate(SMALL_NET, 3.0, 1, 0)


@pytest.mark.parametrize(
    ("fidelity", "message"),
    [
        ((("epochs", 5.0), ("schedule_epochs", 4.0)), r"'epochs' \(5\) must not exceed 'schedule_epochs' \(4\)"),
        ((("epochs", 1.0), ("schedule_epochs", 0.5)), "whole number"),
    ],
)
def test_a_schedule_is_not_shorter_than_what_is_trained(few: SearchTask, fidelity: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        TrainEvaluator(Plain(), few, PLAIN).evaluate(Proposal(SMALL_NET, fidelity), id=0, seed=0)


# -- sizes and fidelities --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("space", "overrides", "message"),
    [
        (Plain(), {"epoch": 2}, "Did you mean 'epochs'"),
        (Plain(), {"channels": 8}, "Allowed: batch_size, epochs"),
        (Sized(), {"cells": 3}, "Allowed: batch_size, channels, epochs"),
        (Plain(), {"epochs": 1.5}, "whole number"),
        (Plain(), {"batch_size": 0}, "whole number"),
        (Plain(), {"epochs": math.nan}, "whole number"),
        (Darts(), {"channels": 7}, "multiple of 2"),
    ],
)
def test_a_fidelity_that_does_not_exist_is_bad_input(
    few: SearchTask, space: DecisionSpace, overrides: dict[str, float], message: str
) -> None:
    architecture = space.sample(np.random.default_rng(0))
    with pytest.raises(BadInput, match=message):
        build_and_train(space, architecture, few, PLAIN, seed=0, overrides=overrides)
    with pytest.raises(BadInput, match=message):
        proposal = Proposal(architecture, fidelity=tuple(overrides.items()))
        TrainEvaluator(space, few, PLAIN).evaluate(proposal, id=0, seed=0)


def test_a_configuration_that_the_space_lacks_is_refused_at_once(few: SearchTask) -> None:
    with pytest.raises(BadInput, match="cells"):
        TrainEvaluator(Plain(), few, PLAIN, TrainConfig(cells=3))


def test_a_foreign_architecture_is_bad_input(few: SearchTask) -> None:
    with pytest.raises(BadInput, match="belongs to"):
        build_and_train(Plain(), Architecture("other", (16, 3, "relu")), few, PLAIN, seed=0)


def test_the_recipes_size_reaches_spaces_that_have_it(few: SearchTask) -> None:
    r = recipe(channels=6, cells=2)
    module = build(Sized(), Architecture("sized", ("relu",)), few, r, seed=0)
    assert isinstance(module, TwoHeads)
    assert module.body.out_features == 6
    build(Plain(), SMALL_NET, few, r, seed=0)  # has neither


def test_proposal_before_configuration_before_recipe(few: SearchTask) -> None:
    def metrics(r: Recipe, config: TrainConfig, *fidelity: tuple[str, float]) -> dict[str, float]:
        return TrainEvaluator(Plain(), few, r, config).evaluate(Proposal(SMALL_NET, fidelity), id=0, seed=4).metrics

    one = metrics(recipe(epochs=1), TrainConfig())
    assert metrics(PLAIN, TrainConfig(epochs=1)) == one
    assert metrics(PLAIN, TrainConfig(epochs=2), ("epochs", 1.0)) == one
    assert metrics(PLAIN, TrainConfig(epochs=2)) != one


# -- the evaluator ---------------------------------------------------------------------------------------------------
def test_it_is_an_evaluator_and_its_fingerprint_tells_what_matters(few: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), few, PLAIN)
    assert isinstance(evaluator, Evaluator)
    assert (evaluator.source, evaluator.version) == ("trained", 0)
    others = [
        TrainEvaluator(Plain(), few, recipe(epochs=5)),
        TrainEvaluator(Plain(), few, PLAIN, TrainConfig(epochs=5)),
        TrainEvaluator(Plain(), few, PLAIN, TrainConfig(repeats=2)),
        TrainEvaluator(Plain(), replace(few, fingerprint="another split"), PLAIN),
    ]
    assert len({evaluator.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert TrainEvaluator(Plain(), few, recipe(name="renamed")).fingerprint == evaluator.fingerprint


def test_digits_are_learnt_and_shuffled_labels_are_not(digits: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), digits, QUICK)
    scored = evaluator.evaluate(Proposal(SMALL_NET), id=3, seed=1)
    assert (scored.id, scored.seed, scored.source, scored.status) == (3, 1, "trained", "ok")
    assert scored.metrics.keys() == {"valid_accuracy", "train_loss", "parameters"}
    assert scored.metrics["valid_accuracy"] > 90
    assert scored.metrics["train_loss"] < 0.5
    assert scored.metrics["parameters"] == 16 * 9 + 16 + 32 + 16 * 16 * 9 + 16 + 32 + 64 * 10 + 10
    assert scored.seconds > 0

    order = torch.randperm(len(digits.validation), generator=torch.Generator().manual_seed(0))
    shuffled = Images(digits.validation.images, digits.validation.labels[order])
    control = TrainEvaluator(Plain(), replace(digits, validation=shuffled), QUICK)
    assert 5 < control.evaluate(Proposal(SMALL_NET), id=0, seed=1).metrics["valid_accuracy"] < 16


def test_repeats_are_averaged(few: SearchTask) -> None:
    single = TrainEvaluator(Plain(), few, PLAIN).evaluate(Proposal(SMALL_NET), id=0, seed=2)
    three = TrainEvaluator(Plain(), few, PLAIN, TrainConfig(repeats=3))
    averaged = three.evaluate(Proposal(SMALL_NET), id=0, seed=2)
    seeds = seeds_of_repeats(2, 3)
    assert seeds[0] == 2
    assert len(set(seeds)) == 3
    scores = []
    for seed in seeds:
        module, record = build_and_train(Plain(), SMALL_NET, few, PLAIN, seed)
        scores.append(accuracy(module, few.validation, record.mean_std))
    assert scores[0] == single.metrics["valid_accuracy"]
    assert averaged.metrics["valid_accuracy"] == pytest.approx(np.mean(scores))
    assert averaged.metrics["valid_accuracy_std"] == pytest.approx(np.std(scores, ddof=1))


PROGRAM = """
import torch
from nasbench.core.evaluation import Proposal
from nasbench.datasets.digits import read_digits
from nasbench.datasets.splits import make_task
from nasbench.evaluators.recipe import RECIPES
from nasbench.evaluators.train import TrainConfig, TrainEvaluator
from nasbench.search_spaces.darts import Darts
import numpy as np
torch.manual_seed({torch_seed})
torch.set_num_threads({threads})
task = make_task("digits", read_digits(), seed=0, validation=0.25, test=0.2).task.search
recipe = RECIPES["digits"].model_copy(update={{"drop_path": 0.2, "crop_padding": 1, "flip": True, "cutout": 2}})
evaluator = TrainEvaluator(Darts(), task, recipe, TrainConfig(epochs=1, cells=2))
scored = evaluator.evaluate(Proposal(Darts().sample(np.random.default_rng(0))), id=0, seed=9)
print(evaluator.fingerprint, sorted((key, value.hex()) for key, value in scored.metrics.items()))
"""


def test_a_fresh_process_gives_the_same_bits() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(torch_seed=torch_seed, threads=threads)],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed, torch_seed, threads in ((1, 0, 1), (2, 7, 2))
    ]
    answers = [process.communicate()[0] for process in processes]
    assert "valid_accuracy" in answers[0]
    assert answers[0] == answers[1]


def test_seeds_matter(few: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), few, PLAIN)
    losses = {evaluator.evaluate(Proposal(SMALL_NET), id=0, seed=s).metrics["train_loss"] for s in (0, 1, 1)}
    assert len(losses) == 2


@pytest.mark.parametrize("space", [Darts(), NasBench201()], ids=["darts", "nasbench201"])
def test_built_in_spaces_train(space: DecisionSpace, few: SearchTask) -> None:
    evaluator = TrainEvaluator(space, few, RECIPES["digits"], TrainConfig(epochs=2, batch_size=32))
    architecture = space.sample(np.random.default_rng(2))
    scored = evaluator.evaluate(Proposal(architecture, (("epochs", 1.0),)), id=0, seed=0)
    small = build(space, architecture, few, RECIPES["digits"], seed=0)
    assert scored.metrics["parameters"] == count_parameters(small)
    assert 0 < scored.metrics["train_loss"] < 5


def test_the_cost_estimate_grows_with_the_work(few: SearchTask) -> None:
    short = cost_estimate(Plain(), SMALL_NET, few, PLAIN, {"epochs": 1})
    long = cost_estimate(Plain(), SMALL_NET, few, PLAIN, {"epochs": 10_000})
    assert 0 < short < long / 100


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_a_seed_gives_the_same_result_twice(digits: SearchTask) -> None:
    evaluator = TrainEvaluator(Darts(), digits, RECIPES["digits"], TrainConfig(epochs=2))
    proposal = Proposal(Darts().sample(np.random.default_rng(0)))
    first, second = (evaluator.evaluate(proposal, id=0, seed=0).metrics for _ in range(2))
    assert first == second
    assert settings.device().type == "cuda"
